// Package listing is the read model behind the list of orders: one row an order,
// written from the committed log.
//
// The row holds the state that the aggregate's own Apply makes of the events, so
// there is one understanding of what an event means. Rows and the checkpoint
// they bring about are written in one transaction, by one process at a time (a
// lease with a fence), so the list is what the log says up to the checkpoint: it
// may lag, it is never wrong. Nothing is announced from here.
//
// An event that cannot be read, such as one of a version this program is too
// old for, stops only the row of its own order, which stays as it was before,
// and says so once in the log. Removing the checkpoint (table
// order_list_checkpoint) makes a program that can read it catch up on such rows.
// The list is built anew beside the live one by package rebuild ([Model]).
package listing
