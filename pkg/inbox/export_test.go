package inbox

import "context"

// Round does once what Run does over and over.
func (in *Inbox) Round(ctx context.Context) (found int, err error) { return in.round(ctx) }
