package vault

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/sqldb"
)

// ErrForgotten says that the key of the customer was destroyed ([Vault.Destroy]):
// what was sealed with it can never be opened again, as it should be.
var ErrForgotten = errors.New("the customer is forgotten")

// ErrNoKey says that the customer has no key although nobody destroyed it: the
// database lost it, has only a piece of it, or is another one. Nothing may be made
// of that.
var ErrNoKey = errors.New("no key for this customer, who was never forgotten")

// ErrUnavailable says that the key cannot be had at the moment: the database
// does not answer. What is sealed is not at fault.
var ErrUnavailable = errors.New("key cannot be read")

// ErrDamaged says that sealed data is not what was sealed here.
var ErrDamaged = errors.New("sealed data does not open")

const (
	keySize = 32 // AES-256
	// maxCached bounds the keys held in memory; more than that are read again.
	maxCached = 10_000
)

// KeyLife is the longest for which a process goes on using a key that another
// one has destroyed.
const KeyLife = 5 * time.Second

// Vault seals and opens. Safe for concurrent use.
type Vault struct {
	db sqldb.DB

	mu    sync.Mutex
	cache map[uuid.UUID]cipher.AEAD
	since time.Time // when the cache was last empty
}

// New returns the vault in db.
func New(db sqldb.DB) *Vault { return &Vault{db: db, cache: map[uuid.UUID]cipher.AEAD{}} }

// Seal encrypts text for a customer, making the customer's key if there is none.
// place is what the text belongs to; it must be the same when it is opened.
// Errors: [ErrForgotten], since a key that was destroyed is never made anew;
// [ErrUnavailable].
func (v *Vault) Seal(ctx context.Context, customer uuid.UUID, place string, text []byte) (string, error) {
	key, err := v.key(ctx, customer, true)
	if err != nil {
		return "", fmt.Errorf("seal for customer %s: %w", customer, err)
	}
	nonce := make([]byte, key.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return base64.StdEncoding.EncodeToString(key.Seal(nonce, nonce, text, bind(customer, place))), nil
}

// Open decrypts what Seal returned. Errors: [ErrForgotten], [ErrNoKey],
// [ErrDamaged], [ErrUnavailable].
func (v *Vault) Open(ctx context.Context, customer uuid.UUID, place, sealed string) ([]byte, error) {
	key, err := v.key(ctx, customer, false)
	if err != nil {
		return nil, fmt.Errorf("open for customer %s: %w", customer, err)
	}
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(raw) < key.NonceSize() {
		return nil, fmt.Errorf("open for customer %s: %w", customer, ErrDamaged)
	}
	text, err := key.Open(nil, raw[:key.NonceSize()], raw[key.NonceSize():], bind(customer, place))
	if err != nil {
		return nil, fmt.Errorf("open for customer %s: %w", customer, ErrDamaged)
	}
	return text, nil
}

func bind(customer uuid.UUID, place string) []byte { return []byte(customer.String() + "/" + place) }

// Destroy deletes the key of a customer for good, made or not, and leaves a note
// that it did. It is gone from the database and from this process when Destroy
// returns nil, and from others [KeyLife] later. Doing it again changes nothing.
// The only error is [ErrUnavailable].
func (v *Vault) Destroy(ctx context.Context, customer uuid.UUID) error {
	now := sqldb.Micros(time.Now())
	err := v.db.Update(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO customer_key (customer_id, secret, created_at, forgotten_at) VALUES ($1, $2, $3, $3)
			ON CONFLICT (customer_id) DO UPDATE SET secret = excluded.secret, forgotten_at = excluded.forgotten_at
			WHERE customer_key.forgotten_at = 0`, customer.String(), []byte{}, now)
		return err
	})
	v.mu.Lock()
	clear(v.cache)
	v.since = time.Now() // what was asked for before is not kept
	v.mu.Unlock()
	if err != nil {
		return fmt.Errorf("destroy the key of customer %s: %w: %w", customer, ErrUnavailable, err)
	}
	return nil
}

func (v *Vault) key(ctx context.Context, customer uuid.UUID, create bool) (cipher.AEAD, error) {
	asked := time.Now()
	if cached := v.cached(customer, asked); cached != nil {
		return cached, nil
	}
	raw, err := v.read(ctx, v.db, customer)
	if errors.Is(err, ErrNoKey) && create {
		raw, err = v.create(ctx, customer)
	}
	if err != nil && !errors.Is(err, ErrNoKey) && !errors.Is(err, ErrForgotten) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	sealer, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	v.keep(customer, sealer, asked)
	return sealer, nil
}

// cached returns a key from memory, or nil. All keys leave it together, so that
// none stays that nobody asks for.
func (v *Vault) cached(customer uuid.UUID, now time.Time) cipher.AEAD {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.Sub(v.since) >= KeyLife || len(v.cache) >= maxCached {
		clear(v.cache)
		v.since = now
	}
	return v.cache[customer]
}

// keep puts a key into memory that was asked for at a moment. One that took long
// to come may have been destroyed meanwhile.
func (v *Vault) keep(customer uuid.UUID, key cipher.AEAD, asked time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !asked.Before(v.since) {
		v.cache[customer] = key
	}
}

func (v *Vault) read(ctx context.Context, q sqldb.Querier, customer uuid.UUID) ([]byte, error) {
	var key []byte
	var forgottenAt int64
	err := q.QueryRow(ctx, `SELECT secret, forgotten_at FROM customer_key WHERE customer_id = $1`, customer.String()).
		Scan(&key, &forgottenAt)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return nil, ErrNoKey
	case err != nil:
		return nil, err
	case forgottenAt > 0:
		return nil, ErrForgotten
	case len(key) != keySize:
		return nil, fmt.Errorf("%w: of %d bytes it has %d", ErrNoKey, keySize, len(key))
	}
	return key, nil
}

// create makes a key; when another process was faster, its key is the one, or
// its note that there is none any more.
func (v *Vault) create(ctx context.Context, customer uuid.UUID) (key []byte, err error) {
	fresh := make([]byte, keySize)
	_, _ = rand.Read(fresh) // never fails
	err = v.db.Update(ctx, func(tx sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO customer_key (customer_id, secret, created_at) VALUES ($1, $2, $3)
			ON CONFLICT (customer_id) DO NOTHING`, customer.String(), fresh, sqldb.Micros(time.Now())); err != nil {
			return err
		}
		key, err = v.read(ctx, tx, customer)
		return err
	})
	return key, err
}
