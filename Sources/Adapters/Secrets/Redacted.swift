/// What holds a secret is text like any other to a log that prints whole values (as service-lifecycle does at `debug`), to `dump` and to a failing test: these
/// show that there is one, and nothing of it.
protocol Redacted: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {}

extension Redacted {
    package var description: String { "redacted" }
    package var debugDescription: String { "redacted" }
    package var customMirror: Mirror { Mirror(self, children: ["value": "redacted"]) }
}

extension SecretBox: Redacted {}
extension TokenSettings: Redacted {}
extension TokenKey: Redacted {}
extension TokenKey.Material: Redacted {}
extension EndpointSecrets.Password: Redacted {}
extension EndpointSecrets.Parts: Redacted {}
