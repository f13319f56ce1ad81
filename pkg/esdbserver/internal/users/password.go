package users

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
)

const (
	// DefaultIterations is the work that a password costs, as OWASP's Password Storage Cheat Sheet asks for with this
	// hash: about an eighth of a second.
	DefaultIterations = 210_000
	// MaxIterations is beyond what anybody would want to wait for.
	MaxIterations = 50 * DefaultIterations

	saltSize = 16 // bytes
	hashSize = 64 // bytes

	algorithm = "PBKDF2-HMAC-SHA512"
)

// secret is what is kept of a password.
type secret struct {
	Algorithm  string `json:"algorithm"`
	Iterations int    `json:"iterations"`
	Salt       []byte `json:"salt"`
	Hash       []byte `json:"hash"`
}

var errForeignSecret = errors.New("the password is not stored in a form that this server knows")

// newSecret makes what is kept of a new password.
func newSecret(password string, iterations int) (secret, error) {
	s := secret{Algorithm: algorithm, Iterations: iterations, Salt: make([]byte, saltSize)}
	_, _ = rand.Read(s.Salt) // never fails
	var err error
	s.Hash, err = s.derive(password)
	return s, err
}

// matches reports whether password is the one. It takes the same time whatever the answer is.
func (s secret) matches(password string) (bool, error) {
	if s.Algorithm != algorithm || s.Iterations < 1 || s.Iterations > MaxIterations || len(s.Hash) != hashSize {
		return false, errForeignSecret
	}
	hash, err := s.derive(password)
	return err == nil && subtle.ConstantTimeCompare(hash, s.Hash) == 1, err
}

func (s secret) derive(password string) ([]byte, error) {
	return pbkdf2.Key(sha512.New, password, s.Salt, s.Iterations, hashSize)
}
