internal import PGChannel
internal import PGWire
internal import PoolCore
internal import ServerConfig

extension ConnectFailure {
    init(_ error: BackendConnectError) {
        switch error {
        case .unreachable: self.init(.unreachable)
        case .timedOut: self.init(.timedOut)
        case .closed, .protocolViolation: self.init(.lost)
        case .refused(let server): self.init(error.isTransient ? .busy : .rejected, sqlState: server.sqlState.code)
        case .authentication, .tls, .endpoint, .addressRefused: self.init(.rejected)
        }
    }
}

extension PoolLimits {
    init(_ settings: RouterSettings) {
        self.init()
        sizeMax = settings.poolSizeMax
        shareWait = settings.poolShareWait
        sizeMin = settings.poolSizeMin
        idleTimeout = settings.poolIdleTimeout
        lifetimeMax = settings.poolLifetimeMax
        waitersMax = settings.poolWaitersMax
        waitTimeout = settings.poolWaitTimeout
        healthCheckAfterIdle = settings.poolHealthCheckAfter
        connectTimeout = settings.poolConnectTimeout
    }
}
