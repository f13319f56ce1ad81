package inbox

import "context"

// Round does once what Run does over and over.
func (in *Inbox) Round(ctx context.Context) (found int, err error) { return in.round(ctx) }

// Lanes is how many lanes there are.
func (in *Inbox) Lanes() int { return in.options.Lanes }

// Lane is the lane that events of a subject are handled in.
func (in *Inbox) Lane(subject string) int { return in.lane(subject) }

// States tells what is known of each position.
var States = (*Inbox).states

// StatesQuery is the question that States asks.
var StatesQuery = (*Inbox).statesQuery
