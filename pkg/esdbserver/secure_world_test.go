package esdbserver_test

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// secureStore starts a store that asks who calls, with a user alice of the group sales beside admin and ops.
func secureStore(t *testing.T, options ...esdbservertest.Option) *esdbservertest.Server {
	t.Helper()
	store := esdbservertest.New(t, append([]esdbservertest.Option{esdbservertest.Secure()}, options...)...)
	putUser(t, store, "alice", false, "sales")
	return store
}

// putUser makes a user, as an administrator can. The password is "pw-" and the name.
func putUser(t *testing.T, store *esdbservertest.Server, name string, disabled bool, groups ...string) {
	t.Helper()
	salt := []byte("a salt for tests")
	hash, err := pbkdf2.Key(sha512.New, "pw-"+name, salt, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	user, err := json.Marshal(map[string]any{
		"loginName": name, "groups": groups, "disabled": disabled,
		"algorithm": "PBKDF2-HMAC-SHA512", "iterations": 10, "salt": salt, "hash": hash,
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, store, "$user-"+name, string(user))
}

// put appends an event as the administrator: a user, settings, or the metadata of a stream.
func put(t *testing.T, store *esdbservertest.Server, stream, data string) {
	t.Helper()
	putAs(t, store.Client(t), nil, stream, data)
}

// putAs appends an event as somebody, nil being whoever the client is.
func putAs(t *testing.T, client *esdb.Client, who *esdb.Credentials, stream, data string) {
	t.Helper()
	_, err := client.AppendToStream(withPatience(t), stream, esdb.AppendToStreamOptions{Authenticated: who},
		esdb.EventData{EventType: "x", ContentType: esdb.ContentTypeJson, Data: []byte(data)})
	if err != nil {
		t.Fatalf("append to %s: %v", stream, err)
	}
}

// as are the credentials of a user of secureStore for one call; nobody has none.
func as(name string) *esdb.Credentials {
	switch name {
	case "nobody":
		return nil
	case "admin", "ops":
		return &esdb.Credentials{Login: name, Password: "changeit"}
	}
	return &esdb.Credentials{Login: name, Password: "pw-" + name}
}

// verdict says in a word how a call went, as far as rights are concerned.
func verdict(err error) string {
	var coded *esdb.Error
	switch {
	case err == nil:
		return "ok"
	case status.Code(err) == codes.PermissionDenied: // a subscription is not told the client's own codes
		return "denied"
	case !errors.As(err, &coded):
		return err.Error()
	case coded.Code() == esdb.ErrorCodeAccessDenied:
		return "denied"
	case coded.Code() == esdb.ErrorCodeUnauthenticated:
		return "unauthenticated"
	}
	return coded.Error()
}

// operations are the calls that need a right to a stream. Each is done on a stream that has an event.
func operations() map[string]func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
	return map[string]func(context.Context, *esdb.Client, string, *esdb.Credentials) error{
		"append": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			_, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{Authenticated: who}, event("b"))
			return err
		},
		"read": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			read, err := client.ReadStream(ctx, stream, esdb.ReadStreamOptions{Authenticated: who}, 10)
			if err != nil {
				return err
			}
			_, err = receiveAll(read)
			return err
		},
		"subscribe": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			return subscribed(client.SubscribeToStream(ctx, stream, esdb.SubscribeToStreamOptions{From: esdb.Start{}, Authenticated: who}))
		},
		"delete": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			_, err := client.DeleteStream(ctx, stream, esdb.DeleteStreamOptions{Authenticated: who})
			return err
		},
		"tombstone": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			_, err := client.TombstoneStream(ctx, stream, esdb.TombstoneStreamOptions{Authenticated: who})
			return err
		},
		"read metadata": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			// Not GetStreamMetadata, which cannot read a list that names several.
			read, err := client.ReadStream(ctx, "$$"+stream, esdb.ReadStreamOptions{Authenticated: who}, 1)
			if err == nil {
				_, err = receiveAll(read)
			}
			if coded, _ := esdb.FromError(err); coded != nil && coded.IsErrorCode(esdb.ErrorCodeResourceNotFound) {
				return nil // that there is none may be known
			}
			return err
		},
		"write metadata": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			_, err := client.SetStreamMetadata(ctx, stream, esdb.AppendToStreamOptions{Authenticated: who}, esdb.StreamMetadata{})
			return err
		},
	}
}

// subscribed waits for the first message of a subscription and leaves.
func subscribed(subscription *esdb.Subscription, err error) error {
	if err != nil {
		return err
	}
	defer subscription.Close()
	if dropped := subscription.Recv().SubscriptionDropped; dropped != nil {
		return dropped.Error
	}
	return nil
}

// dialSecure connects to a secure store without the official client's wrapping.
func dialSecure(t *testing.T, store *esdbservertest.Server) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(store.Addr(), grpc.WithTransportCredentials(credentials.NewTLS(store.TLS())))
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

// basicAuth adds credentials to the calls made with the context.
func basicAuth(ctx context.Context, user, password string) context.Context {
	encoded := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Basic "+encoded)
}
