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

// ErrNoKey says that the customer has no key: what was sealed with it can never
// be opened again.
var ErrNoKey = errors.New("no key for this customer")

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

// Vault seals and opens. Safe for concurrent use.
type Vault struct {
	db sqldb.DB

	mu    sync.Mutex
	cache map[uuid.UUID]cipher.AEAD
}

// New returns the vault in db.
func New(db sqldb.DB) *Vault { return &Vault{db: db, cache: map[uuid.UUID]cipher.AEAD{}} }

// Seal encrypts text for a customer, making the customer's key if there is none.
// place is what the text belongs to; it must be the same when it is opened. The
// only error is [ErrUnavailable].
func (v *Vault) Seal(ctx context.Context, customer uuid.UUID, place string, text []byte) (string, error) {
	key, err := v.key(ctx, customer, true)
	if err != nil {
		return "", fmt.Errorf("seal for customer %s: %w", customer, err)
	}
	nonce := make([]byte, key.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return base64.StdEncoding.EncodeToString(key.Seal(nonce, nonce, text, bind(customer, place))), nil
}

// Open decrypts what Seal returned. Errors: [ErrNoKey], [ErrDamaged],
// [ErrUnavailable].
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

func (v *Vault) key(ctx context.Context, customer uuid.UUID, create bool) (cipher.AEAD, error) {
	v.mu.Lock()
	cached, ok := v.cache[customer]
	v.mu.Unlock()
	if ok {
		return cached, nil
	}
	raw, err := v.read(ctx, v.db, customer)
	if errors.Is(err, ErrNoKey) && create {
		raw, err = v.create(ctx, customer)
	}
	if err != nil && !errors.Is(err, ErrNoKey) {
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
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.cache) >= maxCached {
		clear(v.cache)
	}
	v.cache[customer] = sealer
	return sealer, nil
}

func (v *Vault) read(ctx context.Context, q sqldb.Querier, customer uuid.UUID) ([]byte, error) {
	var key []byte
	err := q.QueryRow(ctx, `SELECT secret FROM customer_key WHERE customer_id = $1`, customer.String()).Scan(&key)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, ErrNoKey
	}
	return key, err
}

// create makes a key; when another process was faster, its key is the one.
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
