package es_test

import (
	"encoding/json"
	"fmt"

	"orderflow/pkg/es"
)

// Version 1 of a cancelled event told two things at once: that the goods are
// missing, and that the order is therefore cancelled.
type cancelledV1 struct {
	Reason  string `json:"reason"`
	Missing bool   `json:"missing"`
}

// split leads it to version 2, which is the cancellation alone, behind the fact.
func split(old cancelledV1) ([]es.Encoded, error) {
	var meant []es.Encoded
	if old.Missing {
		meant = append(meant, es.Encoded{Type: "goods-missing", Version: 1, Data: []byte(`{}`)})
	}
	data, err := json.Marshal(map[string]string{"reason": old.Reason})
	return append(meant, es.Encoded{Type: "cancelled", Version: 2, Data: data}), err
}

// A codec's Decode begins with what the stored event means today.
func ExampleSchemas() {
	schemas := es.Schemas{
		{Type: "cancelled", Upcasters: []es.Upcaster{es.UpcastFrom(split)}},
		{Type: "goods-missing"},
	}
	for _, stored := range []es.Recorded{
		{Type: "cancelled", Metadata: es.Metadata{Version: 1}, Data: []byte(`{"reason":"sold out","missing":true}`)},
		{Type: "cancelled", Metadata: es.Metadata{Version: 2}, Data: []byte(`{"reason":"ordered twice"}`)},
		{Type: "cancelled", Metadata: es.Metadata{Version: 3}, Data: []byte(`{}`)},
	} {
		means, err := schemas.Upcast(stored)
		for _, e := range means {
			fmt.Printf("%s version %d: %s\n", e.Type, e.Version, e.Data)
		}
		if err != nil {
			fmt.Println("error:", err)
		}
	}
	// Output:
	// goods-missing version 1: {}
	// cancelled version 2: {"reason":"sold out"}
	// cancelled version 2: {"reason":"ordered twice"}
	// error: cancelled version 3 was written by a newer program: this one reads up to version 2
}
