package es_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver"
)

// shelf is an aggregate: a plain value, with a method for each decision.
type shelf struct{ Pieces int }

// stocked is its only event; taking is a negative number.
type stocked struct {
	Pieces int `json:"pieces"`
}

var errTooFew = errors.New("there are not so many on the shelf")

func (s shelf) take(pieces int) ([]stocked, error) {
	if pieces > s.Pieces {
		return nil, errTooFew
	}
	return []stocked{{-pieces}}, nil
}

func applyStocked(s shelf, e stocked) shelf { return shelf{s.Pieces + e.Pieces} }

// shelfCodec is the stored form of the event.
type shelfCodec struct{}

func (shelfCodec) Encode(_ context.Context, _ uuid.UUID, e stocked) (es.Encoded, error) {
	data, err := json.Marshal(e)
	return es.Encoded{Type: "shelf-stocked", Version: 1, Data: data}, err
}

func (shelfCodec) Decode(_ context.Context, r es.Recorded) ([]stocked, error) {
	current, err := es.Schemas{{Type: "shelf-stocked"}}.Upcast(r)
	if err != nil {
		return nil, err
	}
	events := make([]stocked, len(current))
	for i, e := range current {
		if err := json.Unmarshal(e.Data, &events[i]); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// A command decides on what the stream says, and is carried out once however
// often it is sent.
func ExampleRepository() {
	ctx := context.Background()
	url, stop := serve()
	defer stop()
	store, err := es.Open(url, nil)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	shelves := es.NewRepository(store, "shelf", shelfCodec{}, applyStocked)
	id := cause.NewID()

	fill := cause.Cause{ID: cause.NewID()}
	for range 2 { // the second time the answer to the first may have been lost
		s, at, err := shelves.Update(ctx, id, fill, es.Precondition{}, func(shelf) ([]stocked, error) {
			return []stocked{{Pieces: 5}}, nil
		})
		fmt.Println(s.Pieces, "pieces at revision", at, err)
	}
	s, at, err := shelves.Update(ctx, id, cause.Cause{ID: cause.NewID()}, es.At(0), func(s shelf) ([]stocked, error) { return s.take(3) })
	fmt.Println(s.Pieces, "pieces at revision", at, err)
	_, _, err = shelves.Update(ctx, id, cause.Cause{ID: cause.NewID()}, es.Precondition{}, func(s shelf) ([]stocked, error) { return s.take(3) })
	fmt.Println(err)
	_, _, err = shelves.Update(ctx, id, cause.Cause{ID: cause.NewID()}, es.At(0), func(s shelf) ([]stocked, error) { return s.take(1) })
	fmt.Println(errors.Is(err, es.ErrStale))
	// Output:
	// 5 pieces at revision 0 <nil>
	// 5 pieces at revision 0 <nil>
	// 2 pieces at revision 1 <nil>
	// there are not so many on the shelf
	// true
}

// serve starts an embedded event store, in memory.
func serve() (url string, stop func()) {
	server, err := esdbserver.Open(esdbserver.Config{})
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	return "esdb://" + listener.Addr().String() + "?tls=false", func() { _ = server.Close(); <-served }
}
