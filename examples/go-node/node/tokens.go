package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	refreshBefore = time.Minute
	// Of a short life at most a fifth goes by unused.
	maxUnusedPart = 5
	// After a failure nobody asks again for this long: whoever waited for it is told the same.
	pause = time.Second
	// No answer of the server is longer.
	maxAnswerBytes = 256 * 1024
)

// ErrAway means that later may be better: nobody answers, or the server cannot.
var ErrAway = errors.New("the server is away")

// Tokens has the node's own VPN JWT and keeps it until shortly before it expires. It is an oauth2.TokenSource, so
// oauth2.NewClient makes an http.Client of it that sends the JWT.
type Tokens struct {
	settings Settings
	client   *http.Client
	now      func() time.Time

	mu         sync.Mutex
	held       *oauth2.Token
	renewAt    time.Time
	failure    error
	askAgainAt time.Time
}

// NewTokens fetches nothing yet.
func NewTokens(settings Settings) *Tokens {
	return &Tokens{settings: settings, client: newHTTPClient(), now: time.Now}
}

// Token gives a VPN JWT that is good now. While the server is away, one that is still good goes on.
func (t *Tokens) Token() (*oauth2.Token, error) { return t.get(false) }

// Refresh gets a new one.
func (t *Tokens) Refresh() (*oauth2.Token, error) { return t.get(true) }

// One caller asks the server, the others wait for its answer.
func (t *Tokens) get(force bool) (*oauth2.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	var held *oauth2.Token
	if !force && t.held != nil && now.Before(t.held.Expiry) {
		held = t.held
	}
	if held != nil && now.Before(t.renewAt) {
		return held, nil
	}
	if t.failure == nil || !now.Before(t.askAgainAt) {
		fresh, err := t.fetch()
		t.failure, t.askAgainAt = err, t.now().Add(pause)
		if err == nil {
			t.held, held = fresh, fresh
			t.renewAt = fresh.Expiry.Add(-min(refreshBefore, fresh.Expiry.Sub(t.now())/maxUnusedPart))
		}
	}
	if t.failure == nil || held != nil && errors.Is(t.failure, ErrAway) {
		return held, nil
	}
	return nil, t.failure
}

// Both requests.
func (t *Tokens) fetch() (*oauth2.Token, error) {
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, t.client)
	credentials := clientcredentials.Config{
		ClientID:     t.settings.ClientID,
		ClientSecret: t.settings.ClientSecret,
		TokenURL:     t.settings.TokenURL,
		Scopes:       []string{t.settings.Scope},
		AuthStyle:    oauth2.AuthStyleInHeader,
	}
	access, err := credentials.Token(ctx)
	if err != nil {
		return nil, refusedOrAway(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.settings.VPNAuthURL, strings.NewReader("{}"))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	access.SetAuthHeader(request)
	return t.exchange(request)
}

func (t *Tokens) exchange(request *http.Request) (*oauth2.Token, error) {
	answer, err := t.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAway, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w by %s", statusError(answer.StatusCode), request.URL)
	}
	var body struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, maxAnswerBytes)).Decode(&body)
	if err != nil || body.AccessToken == "" || body.ExpiresIn <= 0 {
		return nil, errors.New("what answers is no Portcullis server: check the addresses")
	}
	expiry := t.now().Add(time.Duration(body.ExpiresIn) * time.Second)
	return &oauth2.Token{AccessToken: body.AccessToken, TokenType: "Bearer", Expiry: expiry}, nil
}

func refusedOrAway(err error) error {
	var refusal *oauth2.RetrieveError
	if errors.As(err, &refusal) {
		return fmt.Errorf("%w: %s", statusError(refusal.Response.StatusCode), refusal.ErrorCode)
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

func statusError(status int) error {
	if status == http.StatusTooManyRequests || status >= http.StatusInternalServerError {
		return fmt.Errorf("%w (%d)", ErrAway, status)
	}
	return fmt.Errorf("the node is refused (%d)", status)
}
