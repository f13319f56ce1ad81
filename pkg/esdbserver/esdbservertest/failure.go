package esdbservertest

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Failure is what goes wrong with an append.
type Failure struct {
	kind failureKind
	err  error
}

type failureKind int

const (
	refused failureKind = iota
	written
	answerLost
	wrongVersion
)

// Refused writes nothing and tells the writer err: a status of gRPC, or any error, which then is UNKNOWN.
func Refused(err error) Failure { return Failure{kind: refused, err: told(err)} }

// TimedOut writes nothing and answers ABORTED, as a store does that is too busy.
func TimedOut() Failure {
	return Refused(status.Error(codes.Aborted, "Operation timed out: the test wants it"))
}

// WrongVersion writes nothing and answers that the stream is not where the writer expects it.
func WrongVersion() Failure { return Failure{kind: wrongVersion} }

// Written carries the append out and tells the writer err all the same. With ABORTED it is the write that timed out and
// was committed after that.
func Written(err error) Failure { return Failure{kind: written, err: told(err)} }

// AnswerLost carries the append out and breaks the connection before the answer: the writer cannot know what became of
// it. Whatever else runs on that connection breaks too.
func AnswerLost() Failure {
	return Failure{kind: answerLost, err: status.Error(codes.Unavailable, "connection lost: the test wants it")}
}

// told is err as a status. A failure without an error is one all the same.
func told(err error) error {
	if s := status.Convert(err); s.Code() != codes.OK {
		return s.Err()
	}
	return status.Error(codes.Unknown, "failed: the test wants it")
}
