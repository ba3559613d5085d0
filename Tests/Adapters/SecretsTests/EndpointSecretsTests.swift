import Secrets
import Testing

@Suite struct EndpointSecretsTests {
    private let box = SecretBox(key: Array(0..<32))

    @Test(arguments: [
        ("postgres://u:hunter2@h:5432/d", "postgres://u:hunter2@h:5432/d"),
        ("postgresql://u:p%40ss%2Fhunter2@h/d?sslmode=require", "postgresql://u:p%40ss%2Fhunter2@h/d?sslmode=require"),
        ("postgres://u@h/d?password=hunter2&sslmode=require", "postgres://u:hunter2@h/d?sslmode=require"),
        ("postgres://u@h/d?p%61ssword=hunter2", "postgres://u:hunter2@h/d"),
    ])
    func aPlainPasswordIsKeptSealedAndOpensToTheSameEndpoint(_ given: String, _ opened: String) throws {
        let kept = try EndpointSecrets.sealed(given, with: box)
        #expect(!kept.contains("hunter2") && kept.contains("password=sealed:"))
        #expect(try EndpointSecrets.opened(kept, with: box) == opened)
        let shown = EndpointSecrets.redacted(kept)
        #expect(shown.hasSuffix("password=***") && !shown.contains("sealed"))
        #expect(!EndpointSecrets.redacted(given).contains("hunter2"))
    }

    @Test(arguments: ["postgres://u@h/d", "postgres://u@[::1]:5432/d?sslmode=disable", "postgres://u@h/d?password=env:PGPASS", "postgres://u@h/d?password=file:/run/secret"])
    func withoutAPasswordOrWithAReferenceItStaysAsItIsInEveryForm(_ endpoint: String) throws {
        #expect(try EndpointSecrets.sealed(endpoint, with: nil) == endpoint)
        #expect(try EndpointSecrets.opened(endpoint, with: nil) == endpoint)
        #expect(EndpointSecrets.redacted(endpoint) == endpoint)
    }

    @Test func aSealedPasswordIsBoundToEverythingElseOfItsEndpoint() throws {
        let kept = try EndpointSecrets.sealed("postgres://u:hunter2@h:5432/d?sslmode=verify-full", with: box)
        for (part, other) in [("u@", "v@"), ("h:5432", "evil:5432"), ("/d?", "/e?"), ("verify-full", "disable")] {
            #expect(throws: SecretError(.sealedElsewhere)) { try EndpointSecrets.opened(kept.replacing(part, with: other), with: box) }
        }
    }

    @Test func withoutAKeyAPlainPasswordIsRefused() {
        #expect(throws: SecretError(.noKey)) { try EndpointSecrets.sealed("postgres://u:p@h/d", with: nil) }
        #expect(throws: SecretError(.noKey)) { try EndpointSecrets.opened("postgres://u@h/d?password=sealed:AAAA", with: nil) }
    }

    @Test func nobodyGivesASealedPasswordOrTwo() {
        #expect(throws: SecretError(.sealedByClient)) { try EndpointSecrets.sealed("postgres://u@h/d?password=sealed:AAAA", with: box) }
        #expect(throws: SecretError(.twoPasswords)) { try EndpointSecrets.sealed("postgres://u:a@h/d?password=b", with: box) }
        #expect(throws: SecretError(.twoPasswords)) { try EndpointSecrets.sealed("postgres://u@h/d?password=a&p%61ssword=b", with: box) }
        #expect(throws: SecretError(.notAnEndpoint)) { try EndpointSecrets.sealed("http://u:a@h/d", with: box) }
    }

    @Test(arguments: ["hunter2", "mysql://u:hunter2@h", "postgres://u:hunter2@h/d?password=hunter2", "postgres://u:hunt%ZZer2@h/d", "postgres://u@h/d?p%ZZ=hunter2"])
    func whatCannotBeReadIsNotShown(_ endpoint: String) {
        #expect(!EndpointSecrets.redacted(endpoint).contains("hunter2") && !EndpointSecrets.redacted(endpoint).contains("hunt%"))
    }
}
