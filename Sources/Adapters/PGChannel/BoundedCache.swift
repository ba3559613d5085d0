internal import Synchronization

/// Values by key for all threads, at most `countMax`; at the limit it starts anew.
final class BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let values = Mutex<[Key: Value]>([:])
    private let countMax: Int

    init(countMax: Int) { self.countMax = countMax }

    /// The kept value, or the one that `make` gives now. Two threads may make the same value at a time: nobody waits for a slow `make`.
    func value<Failure: Error>(for key: Key, make: () throws(Failure) -> Value) throws(Failure) -> Value {
        if let value = values.withLock({ $0[key] }) { return value }
        let made = try make()
        values.withLock { values in
            if values.count >= countMax { values.removeAll() }
            values[key] = made
        }
        return made
    }
}
