package scheme

import (
	"crypto/md5"
	_ "embed"
	"strconv"
	"strings"
)

// hamlet is what Sun's method mixes in or not: the soliloquy, as in the edition of Project Gutenberg of its day.
//
//go:embed hamlet.txt
var hamlet string

// sunMD5 is Solaris' "$md5": [,rounds=N]$salt[$]$hash. It was measured that "$rounds=" does as well; and that the first
// of two "$" behind the salt belongs to it (libxcrypt 4.4.33, crypt-sunmd5.c).
func sunMD5(password, setting string) (string, error) {
	rest := strings.TrimPrefix(setting, "$md5")
	if rest == "" || rest[0] != '$' && rest[0] != ',' {
		return "", damaged("crypt() failed: the value is no hash of a known kind")
	}
	rest = rest[1:]
	rounds := uint64(4096)
	if number, ok := strings.CutPrefix(rest, "rounds="); ok {
		number, rest, ok = strings.Cut(number, "$")
		n, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil || number[0] == '0' {
			return "", damaged("crypt() failed: the rounds of $md5 are no number")
		}
		if err := atMost("rounds", n, MaxIterations/10); err != nil {
			return "", err
		}
		rounds += n
	}
	behind := strings.TrimLeft(rest, saltAlphabet)
	if behind != "" && behind[0] != '$' {
		return "", damaged("crypt() failed: the salt of $md5 is damaged")
	}
	if strings.HasPrefix(behind, "$$") || behind == "$" {
		behind = behind[1:]
	}
	head := setting[:len(setting)-len(behind)]
	sum := md5.Sum([]byte(password + head))
	for i := range int(rounds) {
		message := make([]byte, 0, md5.Size+len(hamlet)+11)
		message = append(message, sum[:]...)
		if sunToss(sum, i) {
			message = append(append(message, hamlet...), 0)
		}
		sum = md5.Sum(strconv.AppendInt(message, int64(i), 10))
	}
	return head + "$" + md5Text(sum), nil
}

// sunToss decides from the last sum whether Hamlet speaks in this round.
func sunToss(sum [md5.Size]byte, round int) bool {
	bit := func(n int) int { return int(sum[n%128/8]) >> (n % 8) & 1 }
	half := func(from, shift int) (x int) {
		for i := range 8 {
			a, b := sum[(from+i)%16], sum[(from+i+3)%16]
			v := int(sum[a>>(b%5)%16]) >> (b >> (a % 8) & 1)
			x |= bit(v) << i
		}
		return x >> bit(shift)
	}
	return bit(half(0, round)) != bit(half(8, round+64))
}

// md5Text is a sum of MD5 in the order and the digits of crypt(3).
func md5Text(sum [md5.Size]byte) string {
	out := make([]byte, 0, 22)
	put := func(digits int, high, middle, low byte) {
		n := uint32(high)<<16 | uint32(middle)<<8 | uint32(low)
		for range digits {
			out = append(out, saltAlphabet[n&63])
			n >>= 6
		}
	}
	for i := range 5 {
		last := sum[(i+12)%16]
		if i == 4 {
			last = sum[5]
		}
		put(4, sum[i], sum[i+6], last)
	}
	put(2, 0, 0, sum[11])
	return string(out)
}
