extension StatementPlan {
    /// Whether a user may run it who has only the right to read: it cannot write, or what it runs is judged for itself when it runs.
    package var isForReaders: Bool {
        switch route {
        // Each statement of the list is planned on its own.
        case .statements: return true
        // What was prepared has a plan of its own, and the arguments of EXECUTE have no effects (`PreparedPlanner`).
        case .session(.execute): return true
        default: break
        }
        switch cursor {
        // The query was judged when its cursor was declared.
        case .use, .close, .closeAll: return true
        case .declare, nil: return !writes || readsOnly
        }
    }
}
