package vault_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/customer/internal/vault"
)

var (
	ann = uuid.MustParse("01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f")
	bob = uuid.MustParse("01928f3e-6c11-7a44-8b0d-1f2e3d4c5b6a")
)

const place = "customer-registered"

// each runs fn on both databases, with the table of keys.
func each(t *testing.T, fn func(t *testing.T, db sqldb.DB)) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		if err := sqldb.Migrate(t.Context(), db, "customer", os.DirFS("../../migrations")); err != nil {
			t.Fatal(err)
		}
		fn(t, db)
	})
}

func seal(t *testing.T, v *vault.Vault, customer uuid.UUID, place, text string) string {
	t.Helper()
	sealed, err := v.Seal(t.Context(), customer, place, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestWhatWasSealedOpensInEveryProcess(t *testing.T) {
	each(t, func(t *testing.T, db sqldb.DB) {
		sealed := seal(t, vault.New(db), ann, place, "Ann Doe")
		raw, err := base64.StdEncoding.DecodeString(sealed)
		if err != nil || bytes.Contains(raw, []byte("Ann")) {
			t.Errorf("sealed as %s (%v)", sealed, err)
		}
		for range 2 { // the key from the database, then from memory
			text, err := vault.New(db).Open(t.Context(), ann, place, sealed)
			if err != nil || string(text) != "Ann Doe" {
				t.Errorf("opened as %q, %v", text, err)
			}
		}
	})
}

func TestTheSameTextIsNeverSealedTheSame(t *testing.T) {
	each(t, func(t *testing.T, db sqldb.DB) {
		v := vault.New(db)
		if first, second := seal(t, v, ann, place, "Ann"), seal(t, v, ann, place, "Ann"); first == second {
			t.Error("equal texts can be told from what is stored")
		}
	})
}

func TestSealedTextOpensForItsCustomerInItsPlaceOnly(t *testing.T) {
	each(t, func(t *testing.T, db sqldb.DB) {
		v := vault.New(db)
		sealed := seal(t, v, ann, place, "Ann Doe")
		seal(t, v, bob, place, "Bob")
		for name, open := range map[string]func() ([]byte, error){
			"another customer": func() ([]byte, error) { return v.Open(t.Context(), bob, place, sealed) },
			"another place":    func() ([]byte, error) { return v.Open(t.Context(), ann, "customer-deactivated", sealed) },
		} {
			if text, err := open(); !errors.Is(err, vault.ErrDamaged) || text != nil {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
		// The same key on both would not help either.
		sqldbtest.Exec(t, db, `UPDATE customer_key SET secret = (SELECT secret FROM customer_key WHERE customer_id = $1)`, ann.String())
		if text, err := vault.New(db).Open(t.Context(), bob, place, sealed); !errors.Is(err, vault.ErrDamaged) {
			t.Errorf("with the same key: %q, %v", text, err)
		}
	})
}

func TestDamagedTextDoesNotOpen(t *testing.T) {
	db := sqldbtest.SQLite(t)
	if err := sqldb.Migrate(t.Context(), db, "customer", os.DirFS("../../migrations")); err != nil {
		t.Fatal(err)
	}
	v := vault.New(db)
	sealed := seal(t, v, ann, place, "Ann Doe")
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	damaged := []string{"", "no base64!", base64.StdEncoding.EncodeToString(raw[:5]), base64.StdEncoding.EncodeToString(raw[:len(raw)-1])}
	for i := range raw { // every bit counts: nonce, text and seal
		flipped := bytes.Clone(raw)
		flipped[i] ^= 1
		damaged = append(damaged, base64.StdEncoding.EncodeToString(flipped))
	}
	for _, text := range damaged {
		if opened, err := v.Open(t.Context(), ann, place, text); !errors.Is(err, vault.ErrDamaged) || opened != nil {
			t.Errorf("%q opened as %q, %v", text, opened, err)
		}
	}
}

func TestWithoutTheKeyNothingOpens(t *testing.T) {
	each(t, func(t *testing.T, db sqldb.DB) {
		sealed := seal(t, vault.New(db), ann, place, "Ann Doe")
		sqldbtest.Exec(t, db, `DELETE FROM customer_key`)
		if text, err := vault.New(db).Open(t.Context(), ann, place, sealed); !errors.Is(err, vault.ErrNoKey) || text != nil {
			t.Errorf("opened as %q, %v", text, err)
		}
		if n := sqldbtest.Count(t, db, `SELECT count(*) FROM customer_key`); n != 0 {
			t.Error("opening has made a key")
		}
	})
}

// A database that does not answer says nothing about the customer.
func TestAnOutageIsNotAMissingKey(t *testing.T) {
	each(t, func(t *testing.T, inner sqldb.DB) {
		db := &sqldbtest.Cuttable{DB: inner}
		v := vault.New(db)
		sealed := seal(t, v, ann, place, "Ann Doe")
		db.Cut(true)
		if _, err := vault.New(db).Open(t.Context(), ann, place, sealed); !errors.Is(err, vault.ErrUnavailable) || errors.Is(err, vault.ErrNoKey) {
			t.Errorf("open: %v", err)
		}
		if _, err := vault.New(db).Seal(t.Context(), bob, place, nil); !errors.Is(err, vault.ErrUnavailable) {
			t.Errorf("seal: %v", err)
		}
		db.Cut(false)
		if text, err := vault.New(db).Open(t.Context(), ann, place, sealed); err != nil || string(text) != "Ann Doe" {
			t.Errorf("afterwards: %q, %v", text, err)
		}
	})
}

// TestProcessesThatMakeAKeyAtOnceAgreeOnIt has each of them seal, and each open
// what the others sealed.
func TestProcessesThatMakeAKeyAtOnceAgreeOnIt(t *testing.T) {
	each(t, func(t *testing.T, db sqldb.DB) {
		for round := range 5 {
			customer := uuid.NewSHA1(ann, []byte{byte(round)})
			vaults := make([]*vault.Vault, 8)
			sealed := make([]string, len(vaults))
			start := make(chan struct{})
			var group sync.WaitGroup
			for i := range vaults {
				vaults[i] = vault.New(db)
				group.Go(func() {
					<-start
					var err error
					if sealed[i], err = vaults[i].Seal(t.Context(), customer, place, []byte("Ann Doe")); err != nil {
						t.Error(err)
					}
				})
			}
			close(start)
			group.Wait()
			for i, v := range vaults {
				for j, text := range sealed {
					if opened, err := v.Open(t.Context(), customer, place, text); err != nil || string(opened) != "Ann Doe" {
						t.Fatalf("%d cannot open what %d sealed: %q, %v", i, j, opened, err)
					}
				}
			}
		}
		if n := sqldbtest.Count(t, db, `SELECT count(*) FROM customer_key`); n != 5 {
			t.Errorf("%d keys for 5 customers", n)
		}
	})
}

func TestAKeyThatWasDestroyedIsNeverMadeAnew(t *testing.T) {
	each(t, func(t *testing.T, db sqldb.DB) {
		v := vault.New(db)
		sealed := seal(t, v, ann, place, "Ann Doe")
		bobs := seal(t, v, bob, place, "Bob")
		for range 2 { // the second time changes nothing
			if err := v.Destroy(t.Context(), ann); err != nil {
				t.Fatal(err)
			}
		}
		for name, v := range map[string]*vault.Vault{"this process": v, "another": vault.New(db)} {
			if text, err := v.Open(t.Context(), ann, place, sealed); !errors.Is(err, vault.ErrForgotten) || errors.Is(err, vault.ErrNoKey) {
				t.Errorf("%s opened it: %q, %v", name, text, err)
			}
			if sealed, err := v.Seal(t.Context(), ann, place, []byte("Ann")); !errors.Is(err, vault.ErrForgotten) {
				t.Errorf("%s sealed something new: %q, %v", name, sealed, err)
			}
			if text, err := v.Open(t.Context(), bob, place, bobs); err != nil || string(text) != "Bob" {
				t.Errorf("%s: the other: %q, %v", name, text, err)
			}
		}
		if n := sqldbtest.Count(t, db, `SELECT count(*) FROM customer_key WHERE length(secret) > 0`); n != 1 {
			t.Errorf("%d keys", n)
		}
		// One who never had a key does not get one either.
		nobody := uuid.NewSHA1(ann, nil)
		if err := v.Destroy(t.Context(), nobody); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Seal(t.Context(), nobody, place, nil); !errors.Is(err, vault.ErrForgotten) {
			t.Errorf("sealed for one who is forgotten: %v", err)
		}
	})
}

// TestAnotherProcessForgetsAKeyInTime has it use the key all the time, which must
// not prolong its life.
func TestAnotherProcessForgetsAKeyInTime(t *testing.T) {
	inner := sqldbtest.SQLite(t)
	if err := sqldb.Migrate(t.Context(), inner, "customer", os.DirFS("../../migrations")); err != nil {
		t.Fatal(err)
	}
	this, other := vault.New(inner), vault.New(inner)
	sealed := seal(t, this, ann, place, "Ann Doe")
	if _, err := other.Open(t.Context(), ann, place, sealed); err != nil {
		t.Fatal(err)
	}
	if err := this.Destroy(t.Context(), ann); err != nil {
		t.Fatal(err)
	}
	sqldbtest.Eventually(t, "the other has forgotten it too", func() bool {
		_, err := other.Open(t.Context(), ann, place, sealed)
		return errors.Is(err, vault.ErrForgotten)
	})
}

func TestAKeyIsNotDestroyedInADatabaseThatIsAway(t *testing.T) {
	each(t, func(t *testing.T, inner sqldb.DB) {
		db := &sqldbtest.Cuttable{DB: inner}
		v := vault.New(db)
		sealed := seal(t, v, ann, place, "Ann Doe")
		db.Cut(true)
		if err := v.Destroy(t.Context(), ann); !errors.Is(err, vault.ErrUnavailable) {
			t.Errorf("destroyed: %v", err)
		}
		db.Cut(false)
		if text, err := v.Open(t.Context(), ann, place, sealed); err != nil || string(text) != "Ann Doe" {
			t.Errorf("afterwards: %q, %v", text, err)
		}
	})
}

// TestNoStatisticsKeepAKey has PostgreSQL look at the keys, of which it would keep
// a hundred for its planner, for as long as nothing makes it look again.
func TestNoStatisticsKeepAKey(t *testing.T) {
	each(t, func(t *testing.T, db sqldb.DB) {
		v := vault.New(db)
		for n := range 20 {
			seal(t, v, uuid.NewSHA1(ann, []byte{byte(n)}), place, "Ann Doe")
		}
		rows, err := db.Query(t.Context(), `SELECT secret FROM customer_key`)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := sqldb.Collect(rows, func(r sqldb.Row) (key []byte, err error) { return key, r.Scan(&key) })
		if err != nil {
			t.Fatal(err)
		}
		kept := sqldbtest.Statistics(t, db)
		for _, key := range keys {
			if strings.Contains(kept, hex.EncodeToString(key)) {
				t.Fatalf("a key is kept: %s", kept)
			}
		}
	})
}

// TestAKeyThatIsDamagedIsNoKey leaves the stump of a key.
func TestAKeyThatIsDamagedIsNoKey(t *testing.T) {
	each(t, func(t *testing.T, db sqldb.DB) {
		sealed := seal(t, vault.New(db), ann, place, "Ann Doe")
		for _, stump := range [][]byte{{}, {1, 2, 3}, make([]byte, 16)} {
			sqldbtest.Exec(t, db, `UPDATE customer_key SET secret = $1`, stump)
			if text, err := vault.New(db).Open(t.Context(), ann, place, sealed); !errors.Is(err, vault.ErrNoKey) {
				t.Errorf("%d bytes opened it as %q, %v", len(stump), text, err)
			}
			if _, err := vault.New(db).Seal(t.Context(), ann, place, []byte("Ann")); !errors.Is(err, vault.ErrNoKey) {
				t.Errorf("%d bytes have sealed: %v", len(stump), err)
			}
		}
	})
}
