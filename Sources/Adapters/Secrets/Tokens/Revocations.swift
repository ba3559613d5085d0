internal import ControlAPI

/// Tokens that are void before their time, as the catalog keeps them: in the setting `auth.revoked`, as JSON.
///
/// Each entry goes when the tokens that it is about would have expired anyhow, and there is a bound: what is revoked beyond it is refused with an error, never
/// forgotten. So that nobody can fill the list by logging in and out, a user has a bound of its own, beyond which all its tokens are void.
package struct Revocations: Hashable, Sendable {
    package static let setting = "auth.revoked"
    package static let entriesMax = 1000
    /// Single tokens that a user has made void itself.
    package static let ofOneOwnerMax = 20

    package enum Subject: Hashable, Sendable {
        case token(id: String)
        /// All that a `sub` has been given until a moment (seconds since 1970), by whom ever.
        case user(name: String, until: Double)
    }
    package struct Entry: Hashable, Sendable {
        package var subject: Subject
        /// Seconds since 1970: not needed any longer.
        package var until: Double
        /// Whose token it was; nil where an administrator named it.
        package var owner: Owner?
        package init(_ subject: Subject, until: Double, owner: Owner? = nil) {
            self.subject = subject
            self.until = until
            self.owner = owner
        }
    }
    package struct Owner: Hashable, Sendable {
        package var name: String
        /// When the token was made, by the clock of who made it: seconds since 1970.
        package var issuedAt: Double
        package init(name: String, issuedAt: Double) {
            self.name = name
            self.issuedAt = issuedAt
        }
    }

    package private(set) var entries: [Entry] = []
    private var ids: Set<String> = []
    private var moments: [String: Double] = [:]

    package init() {}

    /// nil where the text is none of ours: then no token can be told from a revoked one.
    package init?(text: String?) {
        guard let text else { return }
        guard let list = try? JSONParser.parse(Array(text.utf8)).arrayValue else { return nil }
        for item in list {
            guard let until = item["until"]?.seconds else { return nil }
            if let id = item["jti"]?.stringValue {
                append(Entry(.token(id: id), until: until, owner: Self.owner(item)))
            } else if let subject = item["sub"]?.stringValue, let before = item["before"]?.seconds {
                append(Entry(.user(name: subject, until: before), until: until))
            } else {
                return nil
            }
        }
    }

    /// Entries of earlier versions name nobody.
    private static func owner(_ item: JSONValue) -> Owner? {
        guard let name = item["sub"]?.stringValue, let issuedAt = item["iat"]?.seconds else { return nil }
        return Owner(name: name, issuedAt: issuedAt)
    }

    private mutating func append(_ entry: Entry) {
        entries.append(entry)
        switch entry.subject {
        case .token(let id): ids.insert(id)
        case .user(let name, let moment): moments[name] = max(moments[name] ?? 0, moment)
        }
    }

    package func covers(_ claims: TokenClaims) -> Bool {
        if ids.contains(claims.id) { return true }
        return moments[claims.subject].map { claims.issuedAt <= $0 } ?? false
    }

    /// With the entry, and without those that are over; nil when there are too many.
    ///
    /// - lifetimeMax: how long a token may be valid, and clocks differ: for so long all tokens of a user must be remembered as void that has made too many so.
    package func adding(_ entry: Entry, now: Double, lifetimeMax: Double) -> Revocations? {
        guard let owner = entry.owner else { return adding(entry, now: now) }
        let others = entries.filter { $0.until > now && $0.owner?.name == owner.name && $0.subject != entry.subject }
        guard others.count >= Self.ofOneOwnerMax else { return adding(entry, now: now) }
        let moment = (others + [entry]).compactMap(\.owner?.issuedAt).reduce(now, max)
        var rest = Revocations()
        for old in entries where old.owner?.name != owner.name { rest.append(old) }
        return rest.adding(Entry(.user(name: owner.name, until: max(moment, moments[owner.name] ?? 0)), until: moment + lifetimeMax), now: now)
    }

    private func adding(_ entry: Entry, now: Double) -> Revocations? {
        var new = Revocations()
        for old in entries where old.until > now && old.subject != entry.subject { new.append(old) }
        guard new.entries.count < Self.entriesMax else { return nil }
        new.append(entry)
        return new
    }

    package var text: String {
        JSONValue.array(
            entries.map { entry in
                let until = JSONValue.number(String(entry.until))
                switch entry.subject {
                case .token(let id):
                    guard let owner = entry.owner else { return ["jti": .string(id), "until": until] }
                    return ["jti": .string(id), "until": until, "sub": .string(owner.name), "iat": .number(String(owner.issuedAt))]
                case .user(let name, let moment): return ["sub": .string(name), "before": .number(String(moment)), "until": until]
                }
            }
        ).text
    }
}
