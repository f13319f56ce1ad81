package esdbserver

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Clients do not call what is not listed, or take another way; so whatever is answered must be.
func TestEveryMethodThatIsServedIsListed(t *testing.T) {
	server, err := Open(Config{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-served
	}()
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	answer, err := serverfeatures.NewServerFeaturesClient(connection).GetSupportedMethods(t.Context(), &shared.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range answer.GetMethods() {
		listed = append(listed, m.GetServiceName()+"/"+m.GetMethodName())
	}
	for service, info := range server.grpc.GetServiceInfo() {
		for _, method := range info.Methods {
			name := strings.ToLower(service + "/" + method.Name)
			if !slices.Contains(listed, name) && answers(t, connection, "/"+service+"/"+method.Name) {
				t.Errorf("%s is served and not listed in %q", name, listed)
			}
		}
	}
}

// answers sends an empty request. A method that is served finds something wrong with it, or answers.
func answers(t *testing.T, connection *grpc.ClientConn, method string) bool {
	t.Helper()
	call, err := connection.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	// When the call has ended already its answer says why.
	_ = call.SendMsg(&shared.Empty{})
	_ = call.CloseSend()
	return status.Code(call.RecvMsg(&shared.Empty{})) != codes.Unimplemented
}
