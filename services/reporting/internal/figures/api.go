package figures

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/negotiation"

	"orderflow/pkg/service"
)

type summaryOutput struct{ Body Summary }

type summaryInput struct{ service.AfterQuery }

type perDayInput struct {
	service.AfterQuery
	Accept string `header:"Accept" doc:"text/csv for a table"`
	From   string `query:"from" format:"date" doc:"the first UTC day; the default is 29 days before the last"`
	To     string `query:"to" format:"date" doc:"the last UTC day; the default is today"`
}

type perDay struct {
	Items []Day `json:"items" nullable:"false"`
}

const (
	perDayPath  = "/orders-per-day"
	mostDays    = 366
	defaultDays = 30
	typeJSON    = "application/json"
	typeCSV     = "text/csv"
)

// Serve adds the operations on figures to the service.
func Serve(svc *service.Service, s *Store, shown service.Projection) {
	service.Read(svc, shown, "/summary", "The figures of this moment", func(ctx context.Context, _ *summaryInput) (*summaryOutput, error) {
		summary, err := s.Summary(ctx)
		if err != nil {
			return nil, err
		}
		return &summaryOutput{summary}, nil
	})
	service.Read(svc, shown, perDayPath, "What was ordered on each day", func(ctx context.Context, in *perDayInput) (*huma.StreamResponse, error) {
		first, last, err := in.days(time.Now())
		if err != nil {
			return nil, err
		}
		days, err := s.PerDay(ctx, first, last)
		if err != nil {
			return nil, err
		}
		return table(in.Accept, days), nil
	})
	describe(svc.API.OpenAPI())
}

// days reads the range that is asked for.
func (in *perDayInput) days(now time.Time) (first, last time.Time, err error) {
	last = now.UTC().Truncate(24 * time.Hour)
	if in.To != "" {
		if last, err = time.Parse(dateOnly, in.To); err != nil {
			return first, last, invalid("query.to", "not a day of the form 2006-01-02")
		}
	}
	first = last.AddDate(0, 0, 1-defaultDays)
	if in.From != "" {
		if first, err = time.Parse(dateOnly, in.From); err != nil {
			return first, last, invalid("query.from", "not a day of the form 2006-01-02")
		}
	}
	switch days := dayOf(last.UnixMicro()) - dayOf(first.UnixMicro()) + 1; {
	case days < 1 && in.To == "":
		return first, last, invalid("query.from", "is after the last day")
	case days < 1:
		return first, last, invalid("query.to", "is before the first day")
	case days > mostDays:
		return first, last, invalid("query.from", "at most 366 days can be asked for")
	}
	return first, last, nil
}

func invalid(location, message string) error {
	return service.NewProblem(http.StatusUnprocessableEntity, "invalid-request", "validation failed",
		service.FieldError{Location: location, Message: message})
}

// table answers with the days in the form that the client prefers.
func table(accept string, days []Day) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(answer huma.Context) {
		answer.SetHeader("Vary", "Accept")
		if negotiation.SelectQValue(accept, []string{typeJSON, typeCSV}) == typeCSV {
			answer.SetHeader("Content-Type", typeCSV+"; charset=utf-8")
			answer.SetStatus(http.StatusOK)
			_ = writeCSV(answer.BodyWriter(), days) // the client has gone: nobody left to tell
			return
		}
		answer.SetHeader("Content-Type", typeJSON)
		answer.SetStatus(http.StatusOK)
		_ = json.NewEncoder(answer.BodyWriter()).Encode(perDay{days}) // as above
	}}
}

// describe adds to the description what cannot be read off the types: the two
// forms of the table, and the stream.
func describe(api *huma.OpenAPI) {
	days := api.Components.Schemas.Schema(reflect.TypeFor[perDay](), true, "OrdersPerDay")
	answer := api.Paths[perDayPath].Get.Responses["200"]
	answer.Description = "Every day of the range"
	answer.Content = map[string]*huma.MediaType{
		typeJSON: {Schema: days},
		typeCSV:  {Schema: &huma.Schema{Type: huma.TypeString, Description: "day,orders,currency,amount"}},
	}
	summary := api.Components.Schemas.Schema(reflect.TypeFor[Summary](), true, "Summary")
	api.AddOperation(&huma.Operation{
		OperationID: "get-live", Method: http.MethodGet, Path: "/live", Summary: "The figures, whenever they change",
		Responses: map[string]*huma.Response{"200": {
			Description: "Server-sent events named summary: one at once, then at most ten a second",
			Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: summary}},
		}},
	})
}
