package node

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// server stands in for Portcullis: its keys and tokens, what it was asked for, and a clock.
type server struct {
	*httptest.Server
	kids     []string
	status   int
	lifetime int
	asked    map[string]int
	at       time.Time
}

func newServer(t *testing.T) *server {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{kids: []string{"one"}, status: http.StatusOK, lifetime: 3600, asked: map[string]int{}, at: time.Now()}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked[r.URL.Path]++
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(s.status)
		if r.URL.Path == "/jwks" {
			keys := []any{map[string]string{"kty": "unheard of", "kid": "strange"}}
			for _, kid := range s.kids {
				keys = append(keys, jose.JSONWebKey{Key: &key.PublicKey, KeyID: kid, Algorithm: "RS256", Use: "sig"})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
			return
		}
		token := fmt.Sprintf("%s-%d", r.URL.Path, s.asked[r.URL.Path])
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": s.lifetime})
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) now() time.Time { return s.at }

func (s *server) later(d time.Duration) { s.at = s.at.Add(d) }

func TestKeys(t *testing.T) {
	s := newServer(t)
	keys := &keySet{url: s.URL + "/jwks", client: newHTTPClient(), now: s.now}
	expect := func(what, kid, outcome string, asked int) {
		t.Helper()
		_, err := keys.find(kid)
		var refusal *Refusal
		found := "known"
		switch {
		case errors.Is(err, ErrAway):
			found = "away"
		case errors.As(err, &refusal):
			found = "refused"
		}
		if found != outcome || s.asked["/jwks"] != asked {
			t.Errorf("%s: %s, asked %d times; expected %s, %d", what, found, s.asked["/jwks"], outcome, asked)
		}
	}
	expect("the first", "one", "known", 1)
	expect("again", "one", "known", 1)
	expect("an unknown one at once", "two", "refused", 1)
	s.kids = []string{"two"}
	s.later(31 * time.Second)
	expect("a new one", "two", "known", 2)
	expect("one that was taken back", "one", "refused", 2)
	s.later(6 * time.Minute)
	s.status = http.StatusServiceUnavailable
	expect("one that is known, while the server is away", "two", "known", 3)
	expect("an unknown one, while the server is away", "three", "away", 3)
	s.status = http.StatusOK
	s.kids = []string{"three"}
	s.later(31 * time.Second)
	expect("one that was taken back, once the server is there", "two", "refused", 4)
}

func TestTokens(t *testing.T) {
	s := newServer(t)
	settings := Settings{ClientID: "node", ClientSecret: "secret", TokenURL: s.URL + "/token", VPNAuthURL: s.URL + "/vpn/auth"}
	tokens := NewTokens(settings)
	tokens.now = s.now
	expect := func(what string, outcome string) {
		t.Helper()
		token, err := tokens.Token()
		found := "refused"
		switch {
		case err == nil:
			found = token.AccessToken
		case errors.Is(err, ErrAway):
			found = "away"
		}
		if found != outcome {
			t.Errorf("%s: %s; expected %s", what, found, outcome)
		}
	}
	expect("the first", "/vpn/auth-1")
	s.later(58 * time.Minute)
	expect("more than a minute before its end", "/vpn/auth-1")
	s.later(70 * time.Second)
	s.status = http.StatusServiceUnavailable
	expect("shortly before its end, while the server is away", "/vpn/auth-1")
	s.later(time.Minute)
	expect("after its end", "away")
	asked := s.asked["/token"]
	expect("at once again", "away")
	if s.asked["/token"] != asked {
		t.Error("a failure does not keep the others from asking")
	}
	s.later(2 * time.Second)
	s.status = http.StatusTemporaryRedirect
	expect("where the server sends elsewhere", "refused")
	if s.asked["/elsewhere"] != 0 {
		t.Error("a secret was sent elsewhere")
	}
	s.later(2 * time.Second)
	s.status, s.lifetime = http.StatusOK, 10
	expect("once the server is there", "/vpn/auth-2")
	s.later(7 * time.Second)
	expect("in the first four fifths of a short life", "/vpn/auth-2")
	s.later(2 * time.Second)
	expect("in the last fifth", "/vpn/auth-3")
}
