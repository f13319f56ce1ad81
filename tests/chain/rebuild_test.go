//go:build unix

package chain

import (
	"context"
	"fmt"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb/sqldbtest"
)

// What a consumer announces is derived from what it heard. So a read model that
// is thrown away and built again from the same events is the same, and what its
// outbox has announced before is not announced again.
func TestARebuiltReadModelIsTheSameAndAnnouncesNothing(t *testing.T) {
	c := newChain(t, sqldbtest.SQLite)
	const orders, each = 5, 4
	for range orders {
		events := make([]esdb.EventData, each)
		for i := range events {
			events[i] = esdb.EventData{
				EventID: uuid.New(), EventType: "counted", ContentType: esdb.ContentTypeJson, Data: fmt.Appendf(nil, `{"n":%d}`, i+1),
			}
		}
		c.server.Append(t, "order-"+uuid.NewString(), events...)
		eventually(t, "the relay has announced an order", func() bool { return c.bus.stored(each) })
	}
	history := c.bus.all()
	replay := func() {
		for _, e := range history {
			if err := c.inboxes[counted].Handle(context.Background(), []eventbus.Delivery{{Event: e}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	replay()
	eventually(t, "the outbox has announced everything", func() bool { return c.bus.stored(orders * each) })
	db := c.read["packing"]
	before := effects(t, db)

	for _, table := range []string{"effect", "total", "latest", "inbox"} {
		sqldbtest.Exec(t, db, `DELETE FROM `+table)
	}
	replay()
	if got := effects(t, db); len(got) != orders || fmt.Sprint(got) != fmt.Sprint(before) {
		t.Errorf("rebuilt %v, was %v", got, before)
	}
	pending, err := c.out.Pending(t.Context())
	if err != nil || pending != 0 || c.bus.stored(1) {
		t.Errorf("rebuilding announced something: %d rows wait, %v", pending, err)
	}
}
