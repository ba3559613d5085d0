internal import NIOCore
internal import NIOPosix
internal import PGChannel
internal import PGWire
internal import Secrets
internal import ShardModel
internal import Synchronization

/// Opens the sessions in which jobs work on shards, and knows which they are: a fence does not end them.
final class ServerSessions: Sendable {
    let group: any EventLoopGroup
    private let box: SecretBox?
    private let timeout: Duration
    private let addresses: AddressPolicy
    private let processes = Mutex<[ShardID: Set<Int32>]>([:])

    /// - timeout: for connecting, and for what is asked in a short call.
    init(box: SecretBox?, group: any EventLoopGroup, timeout: Duration, addresses: AddressPolicy) {
        self.box = box
        self.group = group
        self.timeout = timeout
        self.addresses = addresses
    }

    /// - name: the session's `application_name`.
    func endpoint(of shard: ShardRecord, as name: String) throws(EffectFailure) -> PostgresEndpoint {
        do {
            var endpoint = try PostgresEndpoint.parse(try EndpointSecrets.opened(shard.primaryEndpoint, with: box))
            endpoint.applicationName = name
            return endpoint
        } catch {
            throw .impossible("the endpoint of shard \(shard.id), or its password, cannot be used")
        }
    }

    /// For short statements. What is done in it is on disk when it is answered, whatever the server's default is: a job goes on by it when the server has crashed.
    ///
    /// Throws `EffectFailure`.
    func open(_ shard: ShardRecord, as name: String) async throws -> PGClient {
        let endpoint = try endpoint(of: shard, as: name)
        var options = PGClient.Options()
        options.connectTimeout = .init(timeout)
        options.callTimeout = .init(timeout)
        options.addresses = addresses
        do {
            let client = note(try await PGClient.connect(to: endpoint, on: group, options: options), on: shard.id)
            do {
                _ = try await client.query(Self.durable)
            } catch {
                await client.close()
                throw error
            }
            return client
        } catch {
            throw EffectFailure(error, doing: "connecting to shard \(shard.id)")
        }
    }

    /// `remote_apply` and the like promise more, and stay.
    private static let durable = """
        SELECT pg_catalog.set_config('synchronous_commit', 'on', false) WHERE pg_catalog.current_setting('synchronous_commit') = 'off'
        """

    /// Opens a session, uses it and closes it. What it throws is an `EffectFailure`.
    func with<Value: Sendable>(
        _ shard: ShardRecord, as name: String, doing: String, _ body: @Sendable (PGClient) async throws -> Value
    ) async throws(EffectFailure) -> Value {
        do {
            let client = try await open(shard, as: name)
            do {
                let value = try await body(client)
                await client.close()
                return value
            } catch {
                await client.close()
                throw error
            }
        } catch {
            throw EffectFailure(error, doing: "\(doing) on shard \(shard.id)")
        }
    }

    /// Counts a session among ours for as long as it is open.
    @discardableResult
    func note(_ client: PGClient, on shard: ShardID) -> PGClient {
        let process = client.processID
        _ = processes.withLock { $0[shard, default: []].insert(process) }
        client.onClose.whenComplete { [weak self] _ in _ = self?.processes.withLock { $0[shard]?.remove(process) } }
        return client
    }

    func processes(on shard: ShardID) -> Set<Int32> { processes.withLock { $0[shard] ?? [] } }
}
