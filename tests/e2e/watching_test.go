package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// figuresAreLive watches the stream of server-sent events while an order is
// placed.
func figuresAreLive(w *world) {
	anna := w.Customer("Anna")
	w.Product("fish", 12300, "NOK") // the only crowns of Norway in this world

	ctx, stop := context.WithTimeout(w.t.Context(), patience)
	defer stop()
	figures, err := w.watch(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	first, ok := <-figures
	if !ok || revenueIn("NOK", first.Revenue) != 0 {
		w.t.Fatalf("the figures before the order: %+v, %v", first, ctx.Err())
	}
	anna.Orders(line("fish", 2))
	for now := range figures {
		if revenueIn("NOK", now.Revenue) == 24600 {
			return
		}
	}
	w.t.Error("the figures have not changed with the order")
}

// watch follows the live figures until ctx ends. The first ones come at once.
func (w *world) watch(ctx context.Context) (<-chan summary, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.urls["reporting"]+"/live", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	if media := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(media, "text/event-stream") {
		return nil, fmt.Errorf("status %d, Content-Type %q", response.StatusCode, media)
	}
	figures := make(chan summary)
	go func() {
		defer close(figures)
		defer func() { _ = response.Body.Close() }() // a stream is never read to its end
		var event string
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case name == "event":
				event = value
			case name == "data" && event == "summary":
				var now summary
				if json.Unmarshal([]byte(value), &now) != nil {
					return
				}
				select {
				case figures <- now:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return figures, nil
}
