package import Audit
package import Telemetry

extension MetricSnapshot {
    package init(of audit: AuditTrail) {
        self.init()
        let figures = audit.figures
        add(MetricCatalogue.auditEvents, ["written"], counter: figures.written)
        add(MetricCatalogue.auditEvents, ["dropped"], counter: figures.dropped)
        add(MetricCatalogue.auditFailing, gauge: figures.isFailing ? 1 : 0)
    }
}
