package customer_test

import (
	"net/http"
	"testing"
)

func TestEveryCommandRestsOnItsAnnouncement(t *testing.T) {
	w := start(t)
	registered := w.Call("POST", "/customers", ann()).Want(http.StatusCreated)
	w.RestsOn(registered, "customer.events.created.v1", 0)
	at := "/customers/" + registered.Text("customerId")
	moved := delft()
	moved["line1"] = "Oude Delft 1"
	for range 2 { // the second changes nothing, and rests on the first
		w.RestsOn(w.Call("PUT", at+"/address", moved).Want(http.StatusOK), "customer.events.address_changed.v1", 1)
	}
	w.RestsOn(w.Call("PUT", at+"/contact", fields{"name": "Ann", "email": "a@example.com"}).Want(http.StatusOK), "customer.events.contact_changed.v1", 2)
	w.RestsOn(w.Call("POST", at+"/deactivate", fields{"reason": "moved away"}).Want(http.StatusOK), "customer.events.deactivated.v1", 3)
}
