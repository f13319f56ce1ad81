package story

// Top is above the newest mail.
func Top() place { return top() }

// Below is the place of a mail.
func Below(m Mail) place { return place{m.At.UnixMicro(), m.MailID} }
