import Foundation
import ManagerService
import PGChannel
import ShardModel
import Synchronization

/// Changes rows of a shard, of all kinds, until it is stopped or its session is ended.
final class Writer: Sendable {
    private let isOver = Mutex(false)
    private let task: Mutex<Task<Int, any Error>?>

    init(_ kit: ReshardKit, on shard: ShardID = ReshardKit.source) {
        task = Mutex(nil)
        let task = Task { try await self.write(kit, shard) }
        self.task.withLock { $0 = task }
    }

    /// How many transactions it has committed.
    func stop() async throws -> Int {
        isOver.withLock { $0 = true }
        return try await task.withLock(\.self)?.value ?? 0
    }

    private func write(_ kit: ReshardKit, _ shard: ShardID) async throws -> Int {
        let client = try await kit.connect(shard)
        var count = 0
        while !isOver.withLock(\.self) {
            do {
                _ = try await client.execute(Self.statements(count))
                count += 1
            } catch let error as PGClientError where error.serverError != nil && client.isOpen {
                // A fence may come just now.
                _ = try? await client.execute("ROLLBACK")
            } catch is PGClientError {
                break
            }
        }
        await client.close()
        return count
    }

    private static func statements(_ number: Int) -> String {
        let id = 1 + number * 37 % 1600
        switch number % 14 {
        case 0: return "INSERT INTO plain (id, n, note) VALUES (\(id), 1, repeat('x', 2000)) ON CONFLICT (id) DO UPDATE SET n = plain.n + 1"
        case 1: return "BEGIN; UPDATE plain SET n = n + 1, note = NULL WHERE id BETWEEN \(id) AND \(id + 9); UPDATE orders SET m = 'sad' WHERE nr = \(id); COMMIT"
        case 2: return "DELETE FROM plain WHERE id = \(id)"
        case 3: return "INSERT INTO orders (customer, nr, m) VALUES (\(id % 300), \(100_000 + number), NULL)"
        case 4: return "UPDATE by_text SET v = v + 0.5 WHERE k = 'Schlüssel \(id % 500)'"
        case 5: return "INSERT INTO by_uuid VALUES (md5('w\(number)')::uuid, '{\"n\": \(number)}', NULL)"
        case 6: return "DELETE FROM by_uuid WHERE u = md5('w\(number - 29)')::uuid"
        case 7: return "UPDATE parts SET at = date '2020-01-01' + \(number % 365), v = 'moved' WHERE id = \(id)"
        case 8: return "UPDATE whole SET v = v + 1 WHERE id = \(id % 150)"
        case 9: return "UPDATE \"My Schema\".\"Odd \"\"T\" SET \"n m\" = 'y\(number)' WHERE \"the key\" = \(id % 400)"
        case 10: return "UPDATE wide SET long = long || 'z' WHERE id = \(id % 200)"
        case 11: return "INSERT INTO countries VALUES ('w\(number)', 'new'); UPDATE plain SET country = 'w\(number)' WHERE id = \(id)"
        case 12: return "UPDATE countries SET name = name || '.' WHERE code = 'c\(1 + number % 40)'"
        default: return "BEGIN; UPDATE plain SET n = -1; ROLLBACK"
        }
    }
}
