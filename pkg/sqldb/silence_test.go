package sqldb_test

import (
	"net/url"
	"testing"

	"orderflow/pkg/faultproxy"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// through returns a database behind a proxy, given up when it does not answer
// for a moment.
func through(t *testing.T) (sqldb.DB, *faultproxy.Proxy) {
	t.Helper()
	address, err := url.Parse(sqldbtest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := faultproxy.Start(t, address.Host)
	address.Host = proxy.Address()
	query := address.Query()
	query.Set("answer_within", "500ms")
	query.Set("connect_timeout", "1")
	address.RawQuery = query.Encode()
	db, err := sqldb.Open(t.Context(), address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db, proxy
}

// TestAServerThatFallsSilentIsNotWaitedForForEver uses contexts without an end,
// as a consumer does.
func TestAServerThatFallsSilentIsNotWaitedForForEver(t *testing.T) {
	for name, use := range map[string]func(db sqldb.DB, silence func()) error{
		"a query": func(db sqldb.DB, silence func()) error {
			silence()
			_, err := db.Query(t.Context(), `SELECT 1`)
			return err
		},
		"a row": func(db sqldb.DB, silence func()) error {
			silence()
			return db.QueryRow(t.Context(), `SELECT 1`).Scan(new(int))
		},
		"the begin": func(db sqldb.DB, silence func()) error {
			silence()
			return db.Update(t.Context(), func(tx sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), `INSERT INTO item VALUES (1)`)
				return err
			})
		},
		"a statement": func(db sqldb.DB, silence func()) error {
			return db.Update(t.Context(), func(tx sqldb.Tx) error {
				if _, err := tx.Exec(t.Context(), `INSERT INTO item VALUES (1)`); err != nil {
					return err
				}
				silence()
				return tx.QueryRow(t.Context(), `SELECT 1`).Scan(new(int))
			})
		},
		"the commit": func(db sqldb.DB, silence func()) error {
			return db.Update(t.Context(), func(tx sqldb.Tx) error {
				if _, err := tx.Exec(t.Context(), `INSERT INTO item VALUES (1)`); err != nil {
					return err
				}
				silence()
				return nil
			})
		},
		"what is queued and the commit": func(db sqldb.DB, silence func()) error {
			return db.Update(t.Context(), func(tx sqldb.Tx) error {
				tx.Queue(`INSERT INTO item VALUES (1)`)
				silence()
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, proxy := through(t)
			sqldbtest.Exec(t, db, `CREATE TABLE item (id BIGINT)`)
			err := use(db, func() { proxy.Lose(faultproxy.ToClient); proxy.Lose(faultproxy.ToServer) })
			if !sqldb.IsUnavailable(err) {
				t.Errorf("got %v, want one that says the database is away", err)
			}
			proxy.Heal()
			sqldbtest.Eventually(t, "the database came back", func() bool {
				return db.Update(t.Context(), func(tx sqldb.Tx) error {
					_, err := tx.Exec(t.Context(), `INSERT INTO item VALUES (2)`)
					return err
				}) == nil
			})
		})
	}
}

func TestTheServerEndsSessionsThatNobodyIsAtTheOtherEndOf(t *testing.T) {
	db := sqldbtest.Postgres(t)
	for setting, want := range map[string]string{"idle_in_transaction_session_timeout": "10min", "tcp_keepalives_idle": "30"} {
		var got string
		if err := db.QueryRow(t.Context(), `SELECT current_setting($1)`, setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", setting, got, err, want)
		}
	}
}

func TestPatienceMustBeADuration(t *testing.T) {
	for _, text := range []string{"soon", "-1s", "0"} {
		if db, err := sqldb.Connect("postgres://postgres@127.0.0.1/x?answer_within=" + text); err == nil {
			db.Close()
			t.Errorf("answer_within=%s was taken", text)
		}
	}
}
