// Package announce turns the committed events of orders into the integration
// events other services read. Packing and dispatching are announced by those who
// did it, so only placing and cancelling are announced here.
package announce
