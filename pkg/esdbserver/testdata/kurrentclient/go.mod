// A module of its own: this client and the older one, which package esdbserver shares its messages with, cannot be in one
// program, and users of this repository need not know the other.
module kurrentclient

go 1.26.0

require github.com/kurrent-io/KurrentDB-Client-Go v1.2.0

require (
	github.com/google/uuid v1.6.0 // indirect
	golang.org/x/net v0.61.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261005182115-fad411399dd8 // indirect
	google.golang.org/grpc v1.84.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
