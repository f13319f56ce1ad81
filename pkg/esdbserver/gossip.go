package esdbserver

import (
	"context"
	"net"
	"net/http"
	"net/netip"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/peer"
)

// gossipService is the service event_store.client.gossip.Gossip: who belongs to the cluster. This server is alone in it.
type gossipService struct {
	gossip.UnimplementedGossipServer
	server *Server
}

// Read answers with this server as the leader, at the address under which the caller reached it.
func (g gossipService) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	var local net.Addr
	if p, ok := peer.FromContext(ctx); ok {
		local = p.LocalAddr
	}
	at := advertised(local)
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId:   encodeUUID(g.server.id, false),
		TimeStamp:    g.server.ticks(),
		State:        gossip.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: &gossip.EndPoint{Address: hostOf(at.Addr()), Port: uint32(at.Port())},
	}}}, nil
}

// hostOf writes an address as the Go clients need it, which put a colon and the port behind it.
func hostOf(ip netip.Addr) string {
	if ip.Is6() {
		return "[" + ip.String() + "]"
	}
	return ip.String()
}

// handleGossip answers the same over HTTP, with what monitors look for beside it: how far the log is written. There are no
// epochs here, for nobody is ever elected, and no ports of the old TCP protocol.
func (s *Server) handleGossip(w http.ResponseWriter, r *http.Request) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	at := advertised(local)
	last := s.log.LastPosition()
	writeJSON(w, map[string]any{
		"members": []map[string]any{{
			"instanceId":         s.id.String(),
			"timeStamp":          s.config.Now().UTC(),
			"state":              "Leader",
			"isAlive":            true,
			"httpEndPointIp":     at.Addr().String(),
			"httpEndPointPort":   at.Port(),
			"lastCommitPosition": last,
			"writerCheckpoint":   last,
			"chaserCheckpoint":   last,
			"nodePriority":       0,
			"isReadOnlyReplica":  false,
			"esVersion":          Version,
		}},
		"serverIp":   at.Addr().String(),
		"serverPort": at.Port(),
	})
}

// ticks is the server's time in units of 100 ns since the Unix epoch.
func (s *Server) ticks() int64 { return s.config.Now().UnixNano() / 100 }

// advertised is the address that clients on this machine reach addr at: a server that listens on every interface is
// reached on the loopback one.
func advertised(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	}
	at := tcp.AddrPort()
	ip := at.Addr().Unmap()
	if ip.IsUnspecified() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(ip, at.Port())
}
