/// How long who has failed to log in must wait, by user and address together, by address, and by user: pure, its bound included.
///
/// The user alone is counted least strictly, and waits least: or anybody could keep an administrator out.
package struct LoginThrottle {
    package static let entriesMax = 10_000

    private enum Subject: Hashable {
        case both(user: String, address: String)
        case address(String)
        case user(String)
    }
    private struct Record {
        var failures = 0
        /// Seconds, of any one clock.
        var blockedUntil = 0.0
        var last = 0.0
    }
    private struct Rule {
        /// Failures that cost nothing.
        var free: Int
        var waitMax: Double
    }

    private static let nameMax = 63

    /// Failures are forgotten after so long without another, in seconds.
    package static let memory = 900.0

    private var records: [Subject: Record] = [:]
    private let capacity: Int

    package init(capacity: Int = entriesMax) { self.capacity = capacity }

    package var count: Int { records.count }

    /// Seconds until another try is looked at; nil: now.
    package func wait(user: String, address: String, now: Double) -> Double? {
        let until = Self.subjects(user, address).compactMap { records[$0]?.blockedUntil }.max() ?? 0
        return until > now ? until - now : nil
    }

    package mutating func failed(user: String, address: String, now: Double) {
        for subject in Self.subjects(user, address) {
            var record = records[subject] ?? Record()
            if now - record.last > Self.memory { record = Record() }
            record.failures += 1
            record.last = now
            let rule = Self.rule(subject)
            let excess = record.failures - rule.free
            // 1, 2, 4 … seconds.
            if excess > 0 { record.blockedUntil = now + min(rule.waitMax, Double(1 << min(excess - 1, 20))) }
            makeRoom(for: subject, now: now)
            records[subject] = record
        }
    }

    /// Who knows the password starts anew; the address does not, or one account would pay for guesses at others.
    package mutating func succeeded(user: String, address: String) {
        records[.both(user: user, address: address)] = nil
    }

    private static func subjects(_ user: String, _ address: String) -> [Subject] {
        // No user's name is longer: what a client makes up is not kept.
        let user = user.utf8.count <= nameMax ? user : ""
        return [.both(user: user, address: address), .address(address), .user(user)]
    }

    private static func rule(_ subject: Subject) -> Rule {
        switch subject {
        case .both: Rule(free: 4, waitMax: 300)
        case .address: Rule(free: 19, waitMax: 300)
        case .user: Rule(free: 49, waitMax: 10)
        }
    }

    /// What is over goes first, then what was longest ago.
    private mutating func makeRoom(for subject: Subject, now: Double) {
        guard records[subject] == nil, records.count >= capacity else { return }
        records = records.filter { now - $0.value.last <= Self.memory }
        guard records.count >= capacity else { return }
        let kept = records.sorted { $0.value.last > $1.value.last }.prefix(capacity * 3 / 4)
        records = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }
}
