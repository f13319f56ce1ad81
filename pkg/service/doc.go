// Package service is what every service of the system needs the same way: it
// starts, says whether it works, answers over HTTP, and stops.
//
// The promise. A service starts whatever is missing around it: it listens at
// once, /livez says that the process runs, and /readyz says no, and why, until
// its database, its bus and its loops work, and again whenever one of them does
// not. Every loop is started again after an error or a panic, with growing
// pauses, for as long as the process runs. A setting that can never work ends
// the process with one line that names the variable.
//
// A service is put together in one function that reads top to bottom:
//
//	func Run(ctx context.Context, host service.Host) error {
//		svc, err := service.New("packing", "127.0.0.1:8083", host)
//		if err != nil {
//			return err
//		}
//		db, bus := svc.Database(), svc.Bus(ctx)
//		if err := svc.Refused(); err != nil {
//			return err
//		}
//		...
//		return svc.Run(ctx)
//	}
//
// Errors of settings are collected and returned by Refused, so that the function
// stays a list of parts.
package service
