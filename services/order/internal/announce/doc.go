// Package announce turns the committed events of orders into the integration
// events other services read. Packing, rejecting and dispatching are announced
// by those who did it, so only placing and cancelling are announced here:
// placing in two versions, side by side (docs/versions.md). So is what the
// processes of orders say: that one is late, and that goods are to come back.
package announce
