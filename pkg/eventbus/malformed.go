package eventbus

import (
	"bytes"

	"github.com/google/uuid"
)

// SetAside makes the delivery of a message that is no valid envelope. readable
// holds whatever could be read, the raw body in Data; why says what is wrong.
//
// The id it gets is derived from the body and the readable attributes, so that
// a redelivery has the same id again while two different broken messages, even
// two that claim the same id, stay apart.
func SetAside(readable Event, why error) Delivery {
	var name bytes.Buffer
	for attribute, value := range readable.Attributes() {
		name.WriteString(attribute)
		name.WriteByte(0)
		name.WriteString(value)
		name.WriteByte(0)
	}
	name.Write(readable.Data)
	readable.ID = uuid.NewSHA1(uuid.NameSpaceOID, name.Bytes()).String()
	return Delivery{Event: readable, Malformed: why}
}
