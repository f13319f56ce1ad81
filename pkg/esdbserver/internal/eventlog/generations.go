package eventlog

// generations is a bounded cache that forgets what was not used lately. It keeps two maps: entries are added to the young
// one and promoted to it when they are used; when it is full it becomes the old one and the old one is dropped. That is
// nearly the behaviour of a least-recently-used list at the price of a plain map. Not safe for concurrent use.
type generations[K comparable, V any] struct {
	limit      int // entries in one generation
	young, old map[K]V
}

func newGenerations[K comparable, V any](limit int) *generations[K, V] {
	return &generations[K, V]{limit: limit, young: map[K]V{}}
}

func (g *generations[K, V]) get(key K) (V, bool) {
	if v, ok := g.young[key]; ok {
		return v, true
	}
	v, ok := g.old[key]
	if ok {
		g.put(key, v)
	}
	return v, ok
}

func (g *generations[K, V]) put(key K, v V) {
	if len(g.young) >= g.limit {
		g.old, g.young = g.young, make(map[K]V, g.limit)
	}
	g.young[key] = v
}

// clear forgets everything.
func (g *generations[K, V]) clear() {
	g.young, g.old = map[K]V{}, nil
}
