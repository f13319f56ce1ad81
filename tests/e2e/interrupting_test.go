package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// stoppedServiceCatchesUp stops each consumer in turn while the others work.
func stoppedServiceCatchesUp(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	anna.Orders(line("tea", 1)).Becomes("placed")

	w.without("packing", func() func() {
		o := anna.Orders(line("tea", 2))
		w.crmShows(anna, o, "placed") // the others go on
		return func() { w.Packer().Packs(o) }
	})
	w.without("dispatch", func() func() {
		anna.Moves(address{Line1: "1 High Street", City: "Leeds", Postcode: "LS1 1AA", Country: "GB"})
		o := anna.Orders(line("tea", 3))
		w.Packer().Packs(o)
		o.Becomes("packed")
		return func() {
			w.Eventually("dispatch has heard of the move", func() error { // in no order with what it hears of the order
				if parcel := w.Dispatcher().Sees(o, "ready"); *parcel.Address != anna.Address {
					return fmt.Errorf("the address is %+v", parcel.Address)
				}
				return nil
			})
			w.Dispatcher().Dispatches(o)
			if parcel := w.Dispatcher().Sees(o, "dispatched"); *parcel.Address != anna.Address {
				w.t.Errorf("the parcel went to %+v", parcel.Address)
			}
		}
	})
	w.without("crm", func() func() {
		o := anna.Orders(line("tea", 4))
		w.Packer().Packs(o)
		w.Dispatcher().Dispatches(o)
		o.Becomes("dispatched")
		return func() { w.crmShows(anna, o, "dispatched") }
	})
	w.without("reporting", func() func() {
		w.Product("pot", 7700, "SEK") // the only crowns of this world
		o := anna.Orders(line("pot", 1))
		w.Packer().Packs(o)
		o.Becomes("packed")
		return func() {
			w.Eventually("reporting counts the order", func() error {
				figures, err := fetch[summary](w, "reporting", "/summary")
				if err == nil && revenueIn("SEK", figures.Revenue) != 7700 {
					err = fmt.Errorf("revenue is %v", figures.Revenue)
				}
				return err
			})
		}
	})
	w.withoutOrder(anna)
}

// withoutOrder stops the service in the middle: packing and dispatching go on,
// and what they did is recorded when it is back.
func (w *world) withoutOrder(anna *customer) {
	w.t.Helper()
	packed, rejected := anna.Orders(line("tea", 5)), anna.Orders(line("tea", 6))
	w.Packer().Sees(packed, "pending")
	w.Packer().Sees(rejected, "pending")
	w.without("order", func() func() {
		w.Packer().Packs(packed)
		w.Dispatcher().Dispatches(packed)
		w.Packer().Rejects(rejected, "out of stock")
		w.Product("new", 100, "EUR")
		newcomer := w.Customer("Piet")
		return func() {
			packed.Becomes("dispatched")
			rejected.Becomes("cancelled")
			w.theStreamHolds(packed, "order-placed", "order-packed", "order-dispatched")
			newcomer.Orders(line("new", 1))
		}
	})
}

// without stops a service, lets things happen, starts the service again, and
// checks what it has to say then.
func (w *world) without(name string, happens func() (then func())) {
	w.t.Helper()
	p := w.process(w.t, name)
	if err := p.stop(patience); err != nil {
		w.t.Error(err)
	}
	then := happens()
	if err := p.start(); err != nil {
		w.t.Fatal(err)
	}
	w.ready(w.t, name)
	then()
}

func stoppedSystemGoesOn(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	o := anna.Orders(line("tea", 1))

	w.stop(w.t) // before anybody has had time to hear of the order
	w.start(w.t)

	w.Packer().Packs(o)
	w.Dispatcher().Dispatches(o)
	o.Becomes("dispatched")
	w.theStreamHolds(o, "order-placed", "order-packed", "order-dispatched")
}

// killedSystemLosesNothing kills every process while many clients place orders.
// A client that got no answer tries again, with the same key, until it has one.
func killedSystemLosesNothing(w *world) {
	orders, kills := 200, 1
	if long() {
		orders, kills = 2000, 5
	}
	crowd := newCrowd(w, orders)
	for n := range kills {
		crowd.reaches((n + 1) * orders / (kills + 2))
		w.kill()
		if left := crowd.unanswered(); left == 0 {
			w.t.Error("all orders were placed before the kill: this has shown nothing")
		}
		w.start(w.t)
	}
	crowd.wait()

	w.everyKeyIsOneOrder(crowd)
	w.AddsUp()
}

// killedProcessLosesNothing kills one process after the other, and starts it
// again, while many clients place orders.
func killedProcessLosesNothing(w *world) {
	orders, rounds := 200, 1
	if long() {
		orders, rounds = 2000, 5
	}
	crowd := newCrowd(w, orders)
	kills := rounds * len(w.processes)
	for n := range kills {
		crowd.reaches((n + 1) * orders / (kills + 1))
		p := w.processes[n%len(w.processes)]
		p.kill()
		if err := p.start(); err != nil {
			w.t.Fatal(err)
		}
	}
	crowd.wait()
	w.ready(w.t, services...)

	w.everyKeyIsOneOrder(crowd)
	w.AddsUp()
}

// everyKeyIsOneOrder repeats all the calls: each gets the order it has got
// before, and that order was placed once.
func (w *world) everyKeyIsOneOrder(crowd *crowd) {
	w.t.Helper()
	keys := map[string]string{}
	for n, id := range crowd.placed {
		if other, ok := keys[id]; ok {
			w.t.Errorf("order %s was the answer to call %d and to %s", id, n, other)
		}
		keys[id] = fmt.Sprint("call ", n)
		a, err := w.place(crowd.call(n))
		if err != nil {
			w.t.Fatal(err)
		}
		if again := w.placed(a); again.OrderID != id || again.Version != 0 {
			w.t.Errorf("call %d got order %s, and now %s of version %d", n, id, again.OrderID, again.Version)
		}
	}
}

// crowd is clients that place orders at the same time.
type crowd struct {
	w      *world
	people []*customer

	mu       sync.Mutex
	placed   []string // order ids, by number of the call
	answered int
	more     chan struct{} // closed and replaced at each answer
	errs     []error
	done     sync.WaitGroup
}

// newCrowd sends clients off to place n orders between them, for customers who
// are known to the order service.
func newCrowd(w *world, n int) *crowd {
	const clients = 8
	w.Product("tea", 450, "EUR")
	people := make([]*customer, n/25) // crm tells no more than 100 orders of one
	for i := range people {
		people[i] = w.Customer(fmt.Sprint("Client ", i))
		people[i].Orders(line("tea", 1))
	}
	c := &crowd{w: w, people: people, placed: make([]string, n), more: make(chan struct{})}
	for i := range clients {
		c.done.Go(func() {
			for number := i; number < n; number += clients {
				if err := c.places(number); err != nil {
					c.answers(number, "", fmt.Errorf("call %d: %w", number, err))
					return
				}
			}
		})
	}
	return c
}

// call is the call of a number: the same whenever it is made.
func (c *crowd) call(number int) request {
	who := c.people[number%len(c.people)]
	return request{
		"order", http.MethodPost, "/orders", who.orderBody(line("tea", int64(number+1))),
		withKey(fmt.Sprint("call ", number, " of ", c.w.scene)),
	}
}

func (c *crowd) places(number int) error {
	var a answer
	err := within(c.w.t, 2*patience, func() error {
		var err error
		a, err = c.w.place(c.call(number))
		return err
	})
	if err != nil {
		return err
	}
	o, err := parse[order](a)
	if err != nil {
		return err
	}
	c.w.book.addOrder(o)
	c.answers(number, o.OrderID, nil)
	return nil
}

func (c *crowd) answers(number int, id string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.placed[number] = id
	c.answered++
	if err != nil {
		c.errs = append(c.errs, err)
	}
	close(c.more)
	c.more = make(chan struct{})
}

func (c *crowd) unanswered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.placed) - c.answered
}

// reaches waits until so many calls were answered.
func (c *crowd) reaches(n int) {
	c.w.t.Helper()
	for deadline := time.After(2 * patience); ; {
		c.mu.Lock()
		answered, more := c.answered, c.more
		c.mu.Unlock()
		if answered >= n {
			return
		}
		select {
		case <-more:
		case <-deadline:
			c.w.t.Fatalf("%d of %d calls were answered", answered, n)
		}
	}
}

// wait waits until all calls were answered.
func (c *crowd) wait() {
	c.w.t.Helper()
	c.done.Wait()
	if err := errors.Join(c.errs...); err != nil {
		c.w.t.Fatal(err)
	}
}
