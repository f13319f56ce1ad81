package products

import (
	"context"
	"errors"
	"net/http"

	"orderflow/pkg/service"
)

// resource is a product as clients see it.
type resource struct {
	SKU     string `json:"sku"`
	Name    string `json:"name"`
	Price   Money  `json:"price"`
	Version int64  `json:"version" doc:"counts the prices, from 0"`
}

func show(p Product) resource {
	return resource{SKU: p.SKU, Name: p.Name, Price: p.Price, Version: p.Version}
}

type listInput struct{ service.PageQuery }

type listOutput struct{ Body service.Page[resource] }

type createInput struct {
	Body struct {
		SKU   string `json:"sku" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" patternDescription:"1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first"`
		Name  string `json:"name" minLength:"1" maxLength:"200" pattern:"^\\P{Cc}*[^\\p{Z}\\p{C}]\\P{Cc}*$" patternDescription:"printable text that is not blank"`
		Price Money  `json:"price"`
	}
}

type createOutput struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Position string `header:"Orderflow-Position" doc:"?after=... of a read, in any service: answer when it shows this"`
	Body     resource
}

type productInput struct {
	SKU string `path:"sku"`
}

type productOutput struct {
	ETag string `header:"ETag"`
	Body resource
}

type repriceOutput struct {
	ETag     string `header:"ETag"`
	Position string `header:"Orderflow-Position" doc:"?after=... of a read, in any service: answer when it shows this"`
	Body     resource
}

type repriceInput struct {
	SKU     string `path:"sku"`
	IfMatch string `header:"If-Match" doc:"change this version only"`
	Body    Money
}

// Serve adds the operations on products to the service.
func Serve(svc *service.Service, s *Store) {
	svc.TranslateErrors(problemOf)
	service.Get(svc, "/products", "All products, those listed last first", s.listing)
	service.Create(svc, "/products", "List a product", func(ctx context.Context, in *createInput) (*createOutput, error) {
		product, err := s.List(ctx, in.Body.SKU, in.Body.Name, in.Body.Price)
		if err != nil {
			return nil, err
		}
		return &createOutput{
			Location: "/products/" + product.SKU, ETag: service.ETag(product.Version), Position: product.position().String(), Body: show(product),
		}, nil
	})
	service.Get(svc, "/products/{sku}", "One product", func(ctx context.Context, in *productInput) (*productOutput, error) {
		return answer(in.SKU, "", func(Precondition) (Product, error) { return s.Get(ctx, in.SKU) })
	})
	service.Put(svc, "/products/{sku}/price", "Set its price", func(ctx context.Context, in *repriceInput) (*repriceOutput, error) {
		var repriced Product
		found, err := answer(in.SKU, in.IfMatch, func(pre Precondition) (_ Product, err error) {
			repriced, err = s.Reprice(ctx, in.SKU, pre, in.Body)
			return repriced, err
		})
		if err != nil {
			return nil, err
		}
		return &repriceOutput{ETag: found.ETag, Position: repriced.position().String(), Body: found.Body}, nil
	})
}

func (s *Store) listing(ctx context.Context, in *listInput) (*listOutput, error) {
	below := top()
	if _, err := in.Key(&below.listedAt, &below.sku); err != nil {
		return nil, err
	}
	products, err := s.list(ctx, below, in.Limit+1)
	if err != nil {
		return nil, err
	}
	page := service.PageOf(products, in.Limit, func(p Product) []any { return []any{p.ListedAt.UnixMicro(), p.SKU} })
	shown := service.Page[resource]{Items: make([]resource, len(page.Items)), NextCursor: page.NextCursor}
	for i, product := range page.Items {
		shown.Items[i] = show(product)
	}
	return &listOutput{shown}, nil
}

// answer is what all operations on one product share: the SKU and the
// precondition on the way in, the ETag on the way out.
func answer(sku, ifMatch string, do func(Precondition) (Product, error)) (*productOutput, error) {
	if !skuForm.MatchString(sku) {
		return nil, service.NotFound("product", sku)
	}
	pre, err := service.IfMatch(ifMatch)
	if err != nil {
		return nil, err
	}
	product, err := do(pre)
	if errors.Is(err, ErrUnknown) {
		return nil, service.NotFound("product", sku)
	}
	if err != nil {
		return nil, err
	}
	return &productOutput{ETag: service.ETag(product.Version), Body: show(product)}, nil
}

// problemOf is how the rules of this package are told to clients.
func problemOf(err error) error {
	switch {
	case errors.Is(err, ErrStale):
		return service.NewProblem(http.StatusPreconditionFailed, "stale", "the product has changed since the version in If-Match")
	case errors.Is(err, ErrDuplicateSKU):
		return service.NewProblem(http.StatusConflict, "duplicate-sku", ErrDuplicateSKU.Error())
	case errors.Is(err, ErrCurrencyDiffers):
		return service.NewProblem(http.StatusConflict, "currency-differs", ErrCurrencyDiffers.Error())
	default:
		return nil
	}
}
