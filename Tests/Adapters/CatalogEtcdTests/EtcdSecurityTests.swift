import CatalogEtcd
import CatalogStore
import EtcdTestKit
import Foundation
import NIOPosix
import PostgresProcess
import ShardModel
import Testing

/// TLS, certificates of our own, users and passwords.
@Suite(.serialized) struct EtcdSecurityTests {
    private static func store(_ location: EtcdLocation, _ timing: EtcdTiming = .patient) async throws -> EtcdCatalogStore {
        try await EtcdCatalogStore(location, isManager: true, on: MultiThreadedEventLoopGroup.singleton, timing: timing)
    }

    /// Certificates in a folder that goes with them: of the server, of another server, and for a name that is not the server's.
    private func withCertificates(_ body: (String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "pgmosaic-etcd-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (name, names) in [("server", "DNS:localhost,IP:127.0.0.1"), ("other", "DNS:localhost,IP:127.0.0.1"), ("elsewhere", "DNS:etcd.example")] {
            try await SupervisedProcess.runChecked(
                .init(
                    "/usr/bin/openssl",
                    [
                        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=app", "-addext",
                        "subjectAltName=\(names)", "-keyout", "\(folder)/\(name).key", "-out", "\(folder)/\(name).crt",
                    ]))
        }
        try await body(folder)
    }

    private func tls(_ folder: String, _ name: String = "server") -> EtcdCluster.TLS {
        .init(certificate: "\(folder)/\(name).crt", key: "\(folder)/\(name).key", authorities: "\(folder)/\(name).crt")
    }

    @Test func theServersCertificateAndNameAreVerified() async throws {
        try await withCertificates { folder in
            try await EtcdCluster.with(tls: tls(folder)) { cluster in
                let store = try await cluster.open(timing: .patient)
                #expect(try await store.commit(numbering(1), expecting: .zero).epoch == Epoch(1))
                await store.close()
                var byName = cluster.location()
                byName.endpoints[0].host = "localhost"
                let second = try await Self.store(byName)
                #expect(try await second.load().epoch == Epoch(1))
                await second.close()
                // Another authority; and none of our own.
                for authorities in ["\(folder)/other.crt", nil] {
                    var location = cluster.location()
                    location.tls?.authorities = authorities
                    guard case .unavailable = try await catalogError({ try await Self.store(location, .brief) }) else { throw UnexpectedError() }
                }
                // Plain text.
                var plain = cluster.location()
                plain.tls = nil
                guard case .unavailable = try await catalogError({ try await Self.store(plain, .brief) }) else { throw UnexpectedError() }
                // A file that is not there is named.
                var missing = cluster.location()
                missing.tls?.authorities = "\(folder)/none.crt"
                guard case .unavailable(let text) = try await catalogError({ try await Self.store(missing, .brief) }) else { throw UnexpectedError() }
                #expect(text.contains("none.crt"))
            }
            try await EtcdCluster.with(tls: tls(folder, "elsewhere")) { cluster in
                guard case .unavailable = try await catalogError({ try await Self.store(cluster.location(), .brief) }) else { throw UnexpectedError() }
            }
        }
    }

    @Test func aCertificateOfOurOwnIsShownWhereTheServerAsksForOne() async throws {
        try await withCertificates { folder in
            var tls = tls(folder)
            tls.asksForCertificate = true
            try await EtcdCluster.with(tls: tls) { cluster in
                guard case .unavailable = try await catalogError({ try await Self.store(cluster.location(), .brief) }) else { throw UnexpectedError() }
                var location = cluster.location()
                location.tls?.certificate = tls.certificate
                location.tls?.key = tls.key
                let store = try await Self.store(location)
                #expect(try await store.commit(numbering(1), expecting: .zero).epoch == Epoch(1))
                await store.close()
            }
        }
    }

    /// A user that may do what it wants below the prefix, and nothing elsewhere.
    private func withUser(_ body: (EtcdCluster, EtcdLocation) async throws -> Void) async throws {
        // Tokens that end at once when they are not used, so that a login is outlived.
        try await EtcdCluster.with(arguments: ["--auth-token", "simple"]) { cluster in
            for words in [
                ["role", "add", "catalog"], ["role", "grant-permission", "catalog", "--prefix=true", "readwrite", "/pgmosaic/"],
                ["user", "add", "app:streng-geheim"], ["user", "grant-role", "app", "catalog"], ["user", "add", "root:wurzel"],
                ["user", "grant-role", "root", "root"], ["auth", "enable"],
            ] {
                let result = try await cluster.etcdctl(words: words)
                guard result.status == 0 else { throw EtcdTestError(description: result.lastLines) }
            }
            var location = cluster.location()
            location.user = "app"
            location.password = .literal("streng-geheim")
            try await body(cluster, location)
        }
    }

    @Test func aUserWithAPasswordDoesEverythingBelowItsPrefixAndNothingElsewhere() async throws {
        try await withUser { cluster, location in
            let store = try await Self.store(location)
            _ = try await store.commit(numbering(1), expecting: .zero)
            let lease = try #require(try await store.acquireLease("leader", holder: "a", ttl: .seconds(60)))
            #expect(try await store.acquireLease("leader", holder: "a", ttl: .seconds(60)) == lease)
            try await store.releaseLease(lease)
            let member = MemberRecord(id: "m", kind: "router", url: "", wireAddress: "", epoch: .zero, startedAt: 0, version: "")
            for _ in 0..<2 { try await store.announce(member, ttl: .seconds(60)) }
            #expect(try await store.members() == [member])
            try await store.withdraw(memberID: "m")
            var epochs = store.watch(after: Epoch(1)).map(\.epoch).makeAsyncIterator()
            _ = try await store.commit(numbering(2), expecting: Epoch(1))
            #expect(await epochs.next(isolation: nil) == Epoch(2))
            var elsewhere = location
            elsewhere.prefix = "/other/"
            guard case .unavailable(let denied) = try await catalogError({ try await Self.store(elsewhere, .patient) }) else { throw UnexpectedError() }
            #expect(denied.contains("permission denied"))
            await store.close()
        }
    }

    @Test func aWrongPasswordAndNoPasswordAreClearErrorsThatQuoteNeither() async throws {
        try await withUser { cluster, location in
            await (try await Self.store(location)).close()
            var wrong = location
            wrong.password = .literal("falsch")
            guard case .unavailable(let text) = try await catalogError({ try await Self.store(wrong, .patient) }) else { throw UnexpectedError() }
            #expect(text.contains("authentication failed") && !text.contains("falsch"))
            var nobody = location
            (nobody.user, nobody.password) = (nil, nil)
            guard case .unavailable = try await catalogError({ try await Self.store(nobody, .brief) }) else { throw UnexpectedError() }
            var absent = location
            absent.password = .environment("PGMOSAIC_NO_SUCH_VARIABLE")
            guard case .unavailable(let name) = try await catalogError({ try await Self.store(absent, .brief) }) else { throw UnexpectedError() }
            #expect(name.contains("PGMOSAIC_NO_SUCH_VARIABLE"))
        }
    }

    @Test func aLoginThatTheServerForgotIsMadeAnew() async throws {
        try await withUser { cluster, location in
            // However long the server takes to start: calls wait for it.
            var timing = EtcdTiming.patient
            timing.patience = .seconds(60)
            let store = try await Self.store(location, timing)
            var epochs = store.watch(after: .zero).map(\.epoch).makeAsyncIterator()
            var epoch = Epoch.zero
            for round in 1...3 {
                // Its tokens are in the server's memory; a change of users makes older ones void as well.
                if round == 2 {
                    let change = try await cluster.etcdctl(words: ["--user", "root:wurzel", "user", "add", "further:x"])
                    try #require(change.status == 0, "\(change.lastLines)")
                } else {
                    try await cluster.restart(0)
                    try await cluster.waitUntilReady(isOpen: false)
                }
                epoch = try await store.commit(numbering(round), expecting: epoch).epoch
                while let seen = await epochs.next(isolation: nil), seen < epoch {}
            }
            #expect(epoch == Epoch(3))
            await store.close()
        }
    }
}
