package mailer

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"orderflow/services/crm/internal/letters"
	"orderflow/services/crm/internal/story"
)

// errAddress says that the customer's address is none. The address itself is
// personal, and in the mail's row.
var errAddress = errors.New("the recipient's address is not a mail address")

// message writes a mail for the wire: headers encoded as RFC 2047 wants it, so
// that no name and no address can end a line, and the text as quoted-printable
// UTF-8.
func message(from mail.Address, due story.Due, now time.Time) (*gomail.Msg, error) {
	to, err := mail.ParseAddress(due.To)
	if err != nil || to.Name != "" || to.Address != due.To {
		return nil, errAddress
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP))
	m.SetAddrHeaderFromMailAddress(gomail.HeaderFrom, &from)
	m.SetAddrHeaderFromMailAddress(gomail.HeaderTo, &mail.Address{Name: oneLine(due.Facts.CustomerName), Address: to.Address})
	m.Subject(letters.Subject(due.Kind, due.Facts.OrderID))
	m.SetMessageIDWithValue(fmt.Sprintf("%s@%s", due.MailID, domain))
	m.SetDateWithValue(now)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday notices, please
	m.SetBodyString(gomail.TypeTextPlain, letters.Text(due.Kind, due.Facts))
	return m, nil
}

// oneLine replaces what has no business in the name of a recipient: control
// characters, and backslashes, which net/mail leaves as they are in an encoded
// word, where RFC 2047, section 5 (3), forbids them and readers stumble.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7f:
			return ' '
		case r == '\\':
			return '/'
		default:
			return r
		}
	}, text)
}
