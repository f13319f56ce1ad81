package users

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"orderflow/pkg/esdbserver/internal/acl"
)

// maxKnown is how many logins are remembered. Only right ones are, so nobody but the users themselves can fill it.
const maxKnown = 1024

// known remembers the logins that were found right, by a digest under a key that is drawn at the start: neither name nor
// password can be had back from it, and looking one up takes the same time whatever was stored.
type known struct {
	key [sha256.Size]byte

	mu     sync.RWMutex
	logins map[[sha256.Size]byte]login
}

type login struct {
	user    acl.User
	changes uint64 // count of changes when it was found right
}

func newKnown() *known {
	k := &known{logins: map[[sha256.Size]byte]login{}}
	_, _ = rand.Read(k.key[:]) // never fails
	return k
}

func (k *known) digest(name, password string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, k.key[:])
	// The length keeps name and password apart.
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(name)))) // never fails
	_, _ = mac.Write([]byte(name))
	_, _ = mac.Write([]byte(password))
	mac.Sum(sum[:0])
	return sum
}

// find returns a login that was found right after the last change.
func (k *known) find(name, password string, changes uint64) (acl.User, bool) {
	digest := k.digest(name, password)
	k.mu.RLock()
	defer k.mu.RUnlock()
	found, ok := k.logins[digest]
	return found.user, ok && found.changes == changes
}

// add remembers a login. When there are too many, all are forgotten: they cost one slow comparison each to come back.
func (k *known) add(name, password string, changes uint64, user acl.User) {
	digest := k.digest(name, password)
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.logins) >= maxKnown {
		clear(k.logins)
	}
	k.logins[digest] = login{user: user, changes: changes}
}
