package main

import (
	"encoding/hex"
	"math"
)

type rng struct{ s uint64 }

func mix(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
func newRng(parts ...uint64) *rng {
	var h uint64 = 0x9e3779b97f4a7c15
	for _, p := range parts {
		h = mix(h ^ mix(p+0x9e3779b97f4a7c15))
	}
	return &rng{h}
}
func (r *rng) u64() uint64      { r.s += 0x9e3779b97f4a7c15; return mix(r.s) }
func (r *rng) n(k int) int      { return int(r.u64() % uint64(k)) }
func (r *rng) f() float64       { return float64(r.u64()>>11) / (1 << 53) }
func (r *rng) p(x float64) bool { return r.f() < x }
func (r *rng) norm() float64 {
	return math.Sqrt(-2*math.Log(1-r.f())) * math.Cos(2*math.Pi*r.f())
}
func (r *rng) lognorm(median, sigma float64) float64 { return median * math.Exp(sigma*r.norm()) }
func (r *rng) pick(s []string) string                { return s[r.n(len(s))] }
func (r *rng) zipf(n int) int { // small indexes far likelier
	x := math.Pow(float64(n), r.f()) - 1
	if int(x) >= n {
		return n - 1
	}
	return int(x)
}
func (r *rng) hex(n int) string {
	b := make([]byte, (n+1)/2)
	r.bytes(b)
	return hex.EncodeToString(b)[:n]
}
func (r *rng) bytes(b []byte) {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		v := r.u64()
		b[i], b[i+1], b[i+2], b[i+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
		b[i+4], b[i+5], b[i+6], b[i+7] = byte(v>>32), byte(v>>40), byte(v>>48), byte(v>>56)
	}
	for ; i < len(b); i++ {
		b[i] = byte(r.u64())
	}
}
