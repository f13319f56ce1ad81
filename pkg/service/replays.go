package service

import (
	"context"
	"errors"
	"net/http"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/replay"
	"orderflow/pkg/sqldb"
)

// Replay is a replay of this service's history to one consumer.
type Replay struct {
	ReplayID string        `json:"replayId"`
	To       string        `json:"to" doc:"the queue, which is called as its service"`
	Status   replay.Status `json:"status" enum:"running,paused,done,cancelled,failed"`
	Reason   string        `json:"reason,omitempty" doc:"what it waits for, or failed for"`
	After    int64         `json:"after" doc:"the position behind which it began"`
	Position int64         `json:"position" doc:"up to where the queue has everything"`
	End      *int64        `json:"end,omitempty" doc:"where it is done; absent while events are still on their way to the bus"`
	Since    time.Time     `json:"since,omitzero" doc:"nothing that happened before"`
	Rate     int64         `json:"rate,omitempty" doc:"the most events a second that were asked for"`
	Sent     int64         `json:"sent"`
	// Progress is from 0 to 1.
	Progress    float64   `json:"progress" doc:"the part of the way that it has gone, by positions"`
	PerSecond   float64   `json:"perSecond" doc:"events sent a second of work"`
	LeftSeconds float64   `json:"leftSeconds" doc:"how long it still takes if it goes on as it did; 0 when that cannot be said"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
}

// QueueState is what the bus knows about the queue of one consumer.
type QueueState struct {
	Queue    string   `json:"queue"`
	Patterns []string `json:"patterns" nullable:"false" doc:"what it takes, by type"`
	Waiting  int      `json:"waiting" doc:"events that wait for the consumer"`
}

type replayWish struct {
	To    string    `json:"to" minLength:"1" maxLength:"180" doc:"the queue, which is called as its service"`
	After int64     `json:"after,omitempty" minimum:"0" doc:"begin behind this position of this service"`
	Since time.Time `json:"since,omitzero" doc:"leave out what happened before"`
	Rate  int64     `json:"rate,omitempty" minimum:"0" doc:"at most so many events a second"`
}

type (
	replayInput   struct{ Body replayWish }
	replayIDInput struct {
		ReplayID string `path:"replayId" maxLength:"100"`
	}
	replayOutput  struct{ Body Replay }
	replaysOutput struct{ Body Page[Replay] }
	queueInput    struct {
		Queue string `path:"queue" maxLength:"180"`
	}
	queueOutput struct{ Body QueueState }
)

// ReplayHistory adds the replaying of the service's history, for people who
// operate it: its state is kept in db (see replay.Migrate), and a person begins,
// pauses, resumes and cancels replays at /replays.
func (s *Service) ReplayHistory(db sqldb.DB, bus eventbus.Bus, source replay.Source) {
	replays := replay.New(db, bus, source, s.Log, replay.Options{})
	s.Loop("replays", replays.Run)

	Get(s, "/replays", "Replays of this service's history, newest first", func(ctx context.Context, _ *struct{}) (*replaysOutput, error) {
		jobs, err := replays.Jobs(ctx)
		if err != nil {
			return nil, err
		}
		page := Page[Replay]{Items: make([]Replay, len(jobs))}
		for i, job := range jobs {
			page.Items[i] = replayOf(job)
		}
		return &replaysOutput{page}, nil
	})
	Post(s, "/replays", "Tell one consumer this service's history, or go on with it", func(ctx context.Context, in *replayInput) (*replayOutput, error) {
		job, err := replays.Begin(ctx, replay.Wish{To: in.Body.To, After: in.Body.After, Since: in.Body.Since, Rate: in.Body.Rate})
		return answerReplay(job, err)
	})
	Get(s, "/replays/{replayId}", "One replay", func(ctx context.Context, in *replayIDInput) (*replayOutput, error) {
		return answerReplay(replays.Job(ctx, in.ReplayID))
	})
	for _, step := range []struct {
		verb, summary string
		do            func(context.Context, string) (replay.Job, error)
	}{
		{"pause", "Stop a replay for now", replays.Pause},
		{"resume", "Go on with a replay", replays.Resume},
		{"cancel", "End a replay for good", replays.Cancel},
	} {
		Post(s, "/replays/{replayId}/"+step.verb, step.summary, func(ctx context.Context, in *replayIDInput) (*replayOutput, error) {
			return answerReplay(step.do(ctx, in.ReplayID))
		})
	}
	Get(s, "/queues/{queue}", "What the bus knows about a consumer's queue", func(ctx context.Context, in *queueInput) (*queueOutput, error) {
		patterns, err := bus.Patterns(ctx, in.Queue)
		if err != nil {
			return nil, replayProblem(err)
		}
		waiting, err := bus.Depth(ctx, in.Queue)
		if err != nil {
			return nil, replayProblem(err)
		}
		return &queueOutput{QueueState{in.Queue, append([]string{}, patterns...), waiting}}, nil
	})
}

func answerReplay(job replay.Job, err error) (*replayOutput, error) {
	if err != nil {
		return nil, replayProblem(err)
	}
	return &replayOutput{replayOf(job)}, nil
}

func replayProblem(err error) error {
	switch {
	case errors.Is(err, eventbus.ErrNoQueue):
		return NewProblem(http.StatusNotFound, "unknown-queue", "no consumer has a queue of this name at the bus")
	case errors.Is(err, replay.ErrUnknown):
		return NewProblem(http.StatusNotFound, "not-found", "there is no such replay")
	case errors.Is(err, replay.ErrOver):
		return NewProblem(http.StatusConflict, "replay-over", err.Error())
	case errors.Is(err, replay.ErrElsewhere):
		return NewProblem(http.StatusConflict, "replay-begins-elsewhere",
			"a replay to this queue that begins elsewhere in the history is open: resume or cancel that one")
	case errors.Is(err, replay.ErrInvalid):
		return NewProblem(http.StatusUnprocessableEntity, "invalid-request", "validation failed",
			FieldError{Location: "body.to", Message: "the queue of a consumer is needed, not one that the bus fills itself"})
	}
	return err
}

func replayOf(j replay.Job) Replay {
	shown := Replay{
		ReplayID: j.ID, To: j.To, Status: j.Status, Reason: j.Reason, After: j.After, Position: j.Position, Since: j.Since, Rate: j.Rate,
		Sent: j.Sent, Progress: j.Progress(), PerSecond: j.PerSecond(), LeftSeconds: j.Left().Seconds(),
		CreatedAt: j.CreatedAt, UpdatedAt: j.UpdatedAt,
	}
	if j.End >= 0 {
		shown.End = &j.End
	}
	return shown
}
