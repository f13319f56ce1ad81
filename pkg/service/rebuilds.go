package service

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"time"

	"orderflow/pkg/rebuild"
	"orderflow/pkg/sqldb"
)

// Rebuilding is the state of the rebuild of this service's read model.
type Rebuilding struct {
	Model  string         `json:"model"`
	Status rebuild.Status `json:"status" enum:"none,preparing,filling,same,differs,removing,swapped,cancelling,cancelled"`
	Asked  rebuild.Ask    `json:"asked,omitempty" enum:"check,swap,anyway" doc:"what to do once the new model has everything"`
	Reason string         `json:"reason,omitempty" doc:"what it waits for"`
	// ReplayTo is empty where the service has the history itself.
	ReplayTo    string               `json:"replayTo,omitempty" doc:"the queue that history has to be replayed to, by those who publish it"`
	Compared    int64                `json:"compared" doc:"rows of the last comparison"`
	Differences []rebuild.Difference `json:"differences" nullable:"false" doc:"what it found; the first 1,000"`
	BegunAt     time.Time            `json:"begunAt,omitzero"`
	UpdatedAt   time.Time            `json:"updatedAt,omitzero"`
}

type (
	rebuildOutput struct{ Body Rebuilding }
	finishInput   struct {
		Body struct {
			Ask rebuild.Ask `json:"ask" enum:"check,swap,anyway" doc:"check: compare; swap: if they are the same; anyway: also if they are not"`
		}
	}
)

// RebuildModel adds the rebuilding of the service's read model, which lives in
// db, for people who operate it: see package rebuild. replayTo is the queue that
// history has to be replayed to, or empty.
func (s *Service) RebuildModel(db sqldb.DB, model rebuild.Model, replayTo string) {
	r := rebuild.New(db, s.settings.DatabaseURL, model, s.Log, rebuild.Options{})
	s.Loop("rebuild", r.Run)
	answer := func(state rebuild.State, err error) (*rebuildOutput, error) {
		if errors.Is(err, rebuild.ErrNotNow) {
			return nil, NewProblem(http.StatusConflict, "rebuild-not-now", err.Error()).RetryAfter("1")
		}
		if err != nil {
			return nil, err
		}
		return &rebuildOutput{Rebuilding{
			Model: model.Name, Status: state.Status, Asked: state.Asked, Reason: state.Reason, ReplayTo: replayTo,
			Compared: state.Compared, Differences: append([]rebuild.Difference{}, state.Differences...),
			BegunAt: state.BegunAt, UpdatedAt: state.UpdatedAt,
		}}, nil
	}
	Get(s, "/rebuild", "The rebuild of the read model", func(ctx context.Context, _ *struct{}) (*rebuildOutput, error) {
		return answer(r.State(ctx))
	})
	Post(s, "/rebuild", "Begin to make the read model anew beside the live one", func(ctx context.Context, _ *struct{}) (*rebuildOutput, error) {
		return answer(r.Begin(ctx))
	})
	Post(s, "/rebuild/finish", "Once history is there: compare, and swap", func(ctx context.Context, in *finishInput) (*rebuildOutput, error) {
		return answer(r.Finish(ctx, in.Body.Ask))
	})
	Post(s, "/rebuild/cancel", "Give the new model up", func(ctx context.Context, _ *struct{}) (*rebuildOutput, error) {
		return answer(r.Cancel(ctx))
	})
}

// RefuseRebuild says at /rebuild why this service has nothing to rebuild.
func (s *Service) RefuseRebuild(why string) {
	refuse := func(context.Context, *struct{}) (*rebuildOutput, error) {
		return nil, NewProblem(http.StatusConflict, "no-read-model", why)
	}
	Get(s, "/rebuild", "Refused: what this service keeps is no read model", refuse)
	Post(s, "/rebuild", "Refused: what this service keeps is no read model", refuse)
}

// MigrateBeside returns what makes the tables of a service in another database
// than its own: those of parts, then its own, as [Service.Migrate] does.
func (s *Service) MigrateBeside(files fs.FS, parts ...func(context.Context, sqldb.DB) error) func(context.Context, sqldb.DB) error {
	return func(ctx context.Context, db sqldb.DB) error { return migrate(ctx, db, s.name, files, parts) }
}
