package esdbserver

import (
	"context"
	"errors"
	"fmt"

	persistentpb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"orderflow/pkg/esdbserver/internal/eventlog"
	"orderflow/pkg/esdbserver/internal/persistent"
)

// persistentService is the service event_store.client.persistent_subscriptions.PersistentSubscriptions.
type persistentService struct {
	persistentpb.UnimplementedPersistentSubscriptionsServer
	server *Server
}

// The names of errors about persistent subscriptions, in the trailer "exception".
const (
	exceptionPersistentExists   = "persistent-subscription-exists"
	exceptionPersistentNotFound = "persistent-subscription-does-not-exist"
	exceptionPersistentDropped  = "persistent-subscription-dropped"
	exceptionPersistentFailed   = "persistent-subscription-failed"
	exceptionTooManySubscribers = "maximum-subscribers-reached"
)

// group is what a call is about: a source, which is a stream or persistent.All, and the name of a group.
type group struct{ source, name string }

// target reads what a call is about from either of the two forms that the requests have for it.
func target(stream *shared.StreamIdentifier, all bool, name string) (group, error) {
	t := group{source: persistent.All, name: name}
	if !all {
		var err error
		if t.source, err = streamName(stream); err != nil {
			return t, err
		}
	}
	if name == "" {
		return t, invalid("The group name is empty.")
	}
	return t, nil
}

// Create adds a group.
func (p *persistentService) Create(ctx context.Context, req *persistentpb.CreateReq) (*persistentpb.CreateResp, error) {
	definition, err := createdDefinition(req.GetOptions())
	if err == nil {
		err = p.server.authorize(ctx, toManageGroups, definition.Stream)
	}
	if err == nil {
		err = p.server.persistent.Create(ctx, definition)
	}
	if err != nil {
		return nil, p.fail(ctx, group{definition.Stream, definition.Group}, err)
	}
	return &persistentpb.CreateResp{}, nil
}

// Update replaces the settings of a group and drops its consumers.
func (p *persistentService) Update(ctx context.Context, req *persistentpb.UpdateReq) (*persistentpb.UpdateResp, error) {
	definition, err := updatedDefinition(req.GetOptions())
	if err == nil {
		err = p.server.authorize(ctx, toManageGroups, definition.Stream)
	}
	if err == nil {
		err = p.server.persistent.Update(ctx, definition)
	}
	if err != nil {
		return nil, p.fail(ctx, group{definition.Stream, definition.Group}, err)
	}
	return &persistentpb.UpdateResp{}, nil
}

// Delete removes a group, its checkpoint and its parked events, and drops its consumers.
func (p *persistentService) Delete(ctx context.Context, req *persistentpb.DeleteReq) (*persistentpb.DeleteResp, error) {
	options := req.GetOptions()
	t, err := target(options.GetStreamIdentifier(), options.GetAll() != nil, options.GetGroupName())
	if err == nil {
		err = p.server.authorize(ctx, toManageGroups, t.source)
	}
	if err == nil {
		err = p.server.persistent.Delete(ctx, t.source, t.name)
	}
	if err != nil {
		return nil, p.fail(ctx, t, err)
	}
	return &persistentpb.DeleteResp{}, nil
}

// ReplayParked has parked events delivered again. It answers before that has happened.
func (p *persistentService) ReplayParked(ctx context.Context, req *persistentpb.ReplayParkedReq) (*persistentpb.ReplayParkedResp, error) {
	options := req.GetOptions()
	t, err := target(options.GetStreamIdentifier(), options.GetAll() != nil, options.GetGroupName())
	if err == nil {
		err = p.server.authorize(ctx, toManageGroups, t.source)
	}
	if err == nil {
		stopAt := persistent.NoLimit
		if limit, limited := options.GetStopAtOption().(*persistentpb.ReplayParkedReq_Options_StopAt); limited {
			stopAt = limit.StopAt
		}
		err = p.server.persistent.Replay(ctx, t.source, t.name, stopAt)
	}
	if err != nil {
		return nil, p.fail(ctx, t, err)
	}
	return &persistentpb.ReplayParkedResp{}, nil
}

// RestartSubsystem ends all groups and starts them again from what is stored.
func (p *persistentService) RestartSubsystem(ctx context.Context, _ *shared.Empty) (*shared.Empty, error) {
	err := p.server.authorize(ctx, toManageGroups, persistent.All)
	if err == nil {
		err = p.server.persistent.Restart(context.WithoutCancel(ctx))
	}
	if err != nil {
		return nil, p.fail(ctx, group{}, err)
	}
	return &shared.Empty{}, nil
}

// fail answers a unary call with an error and its trailer.
func (p *persistentService) fail(ctx context.Context, t group, err error) error {
	err = p.server.statusOf(persistentError(t, err))
	if trailer := trailerOf(err); trailer != nil {
		_ = grpc.SetTrailer(ctx, trailer) // fails only outside a call
	}
	return err
}

// persistentError gives errors of package persistent the protocol's names. Others pass.
func persistentError(t group, err error) error {
	var failed *persistent.FailedError
	named := func(code codes.Code, exception, what string, pairs ...string) error {
		return refuse(code, exception, fmt.Sprintf("Subscription group %s on stream %s %s", t.name, t.source, what),
			append([]string{"stream-name", headerText(t.source), "group-name", headerText(t.name)}, pairs...)...)
	}
	switch {
	case errors.Is(err, persistent.ErrExists):
		return named(codes.AlreadyExists, exceptionPersistentExists, "exists.")
	case errors.Is(err, persistent.ErrNotFound):
		return named(codes.NotFound, exceptionPersistentNotFound, "does not exist.")
	case errors.Is(err, persistent.ErrTooManyConsumers):
		return named(codes.FailedPrecondition, exceptionTooManySubscribers, "has reached its maximum number of subscribers.")
	case errors.Is(err, persistent.ErrDropped):
		return named(codes.Canceled, exceptionPersistentDropped, "was dropped.")
	case errors.As(err, &failed):
		return named(codes.Internal, exceptionPersistentFailed, "failed. Reason: "+failed.Reason, "reason", headerText(failed.Reason))
	case errors.Is(err, persistent.ErrClosed):
		return errShuttingDown
	case errors.Is(err, eventlog.ErrInvalidPosition):
		return invalid("Trying to read from an invalid position.")
	}
	return err
}
