package eventlog

import (
	"context"
	"errors"
	"fmt"
)

// Metadata returns the metadata of stream as it was last written, or nil when there is none or it was not declared as JSON.
// That of a tombstoned stream stays what it was.
func (l *Log) Metadata(ctx context.Context, stream string) (data []byte, err error) {
	err = l.read(ctx, func(c *conn) error {
		var isJSON bool
		isJSON, data, err = lastMetadata(c, stream)
		switch {
		case errors.Is(err, errNoRow):
			return nil
		case err != nil:
			return fmt.Errorf("metadata of %s: %w", stream, err)
		case !isJSON:
			data = nil
		}
		return nil
	})
	return data, err
}
