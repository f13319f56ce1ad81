package service

import (
	"context"
	"io/fs"

	"orderflow/pkg/sqldb"
)

// Migrate brings the database up to date before the loops start: first the
// tables of the parts that the service uses, then its own, from the folders
// migrations/postgres and migrations/sqlite in files.
func (s *Service) Migrate(db sqldb.DB, files fs.FS, parts ...func(context.Context, sqldb.DB) error) {
	s.Start("migrate the database", func(ctx context.Context) error { return migrate(ctx, db, s.name, files, parts) })
}

func migrate(ctx context.Context, db sqldb.DB, name string, files fs.FS, parts []func(context.Context, sqldb.DB) error) error {
	for _, part := range parts {
		if err := part(ctx, db); err != nil {
			return err
		}
	}
	own, err := fs.Sub(files, "migrations")
	if err != nil {
		return err
	}
	return sqldb.Migrate(ctx, db, name, own)
}
