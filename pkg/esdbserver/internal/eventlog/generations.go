package eventlog

// generations is a bounded cache that forgets what was not used lately. It keeps two maps: entries are added to the young
// one and promoted to it when they are used; when it is full it becomes the old one and the old one is dropped. That is
// nearly the behaviour of a least-recently-used list at the price of a plain map. Not safe for concurrent use.
type generations[K comparable, V any] struct {
	limit      int         // what the entries of one generation may weigh together
	weigh      func(K) int // what an entry weighs
	weight     int         // of the young generation
	young, old map[K]V
}

func newGenerations[K comparable, V any](limit int, weigh func(K) int) *generations[K, V] {
	return &generations[K, V]{limit: limit, weigh: weigh, young: map[K]V{}}
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
	if _, known := g.young[key]; !known {
		weight := g.weigh(key)
		if g.weight > 0 && g.weight+weight > g.limit {
			g.old, g.young, g.weight = g.young, make(map[K]V, len(g.young)), 0
		}
		g.weight += weight
	}
	g.young[key] = v
}

// clear forgets everything.
func (g *generations[K, V]) clear() {
	g.young, g.old, g.weight = map[K]V{}, nil, 0
}
