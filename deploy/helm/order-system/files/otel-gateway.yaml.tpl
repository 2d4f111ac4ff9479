# Sees whole traces: decides which stay, measures all of them, and keeps what a back end that is away cannot take.
extensions:
  health_check: { endpoint: "0.0.0.0:13133" }
  file_storage:
    directory: /var/lib/otelcol
    create_directory: true
    compaction: { on_rebound: true, directory: /var/lib/otelcol }
{{- if eq .Values.collector.export.auth "oauth2" }}
  oauth2client:
    client_id: "${env:OTLP_CLIENT_ID}"
    client_secret: "${env:OTLP_CLIENT_SECRET}"
    token_url: {{ .Values.collector.export.oauth2.tokenUrl }}
    scopes: {{ toJson .Values.collector.export.oauth2.scopes }}
{{- end }}

receivers:
  otlp:
    protocols:
      grpc: { endpoint: "0.0.0.0:4317" }

processors:
  memory_limiter:
    check_interval: 1s
    limit_percentage: 80
    spike_limit_percentage: 20
  # A second line of defence: the services record none of these.
  redaction:
    allow_all_keys: true
    blocked_key_patterns: ["(?i)^http\\.(request|response)\\.header\\.(authorization|cookie|set-cookie|x-api-key|proxy-authorization)$"]
    blocked_values:
      - "\\b[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}\\b"
      - "[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+"
      - "eyJ[A-Za-z0-9_-]{8,}\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+"
    summary: silent
  tail_sampling:
    decision_wait: {{ .Values.collector.gateway.sampling.decisionWait }}
    num_traces: {{ .Values.collector.gateway.sampling.tracesInMemory | int }}
    policies:
      - { name: errors, type: status_code, status_code: { status_codes: [ERROR] } }
      - { name: slow, type: latency, latency: { threshold_ms: {{ .Values.collector.gateway.sampling.slowerThanMs | int }} } }
      - { name: a share of the rest, type: probabilistic, probabilistic: { sampling_percentage: {{ .Values.collector.gateway.sampling.percentage }} } }
  batch: { send_batch_size: 4096, timeout: 1s }

connectors:
  # Rates and latencies of all traces, also of those that are not kept.
  span_metrics:
    histogram: { explicit: { buckets: [5ms, 10ms, 25ms, 50ms, 100ms, 250ms, 500ms, 1s, 2500ms, 5s, 10s] } }
    dimensions: [{ name: http.route }, { name: http.response.status_code }]
    aggregation_cardinality_limit: 2000
    exemplars: { enabled: true }
    resource_metrics_key_attributes: [service.name, service.namespace, deployment.environment.name]

{{- $auth := "" }}
{{- if eq .Values.collector.export.auth "headers" }}
{{- $auth = "headers: { Authorization: \"${env:OTLP_AUTHORIZATION}\" }" }}
{{- else if eq .Values.collector.export.auth "oauth2" }}
{{- $auth = "auth: { authenticator: oauth2client }" }}
{{- end }}

exporters:
  {{- range $signal, $endpoint := dict "traces" .Values.collector.export.endpoint "metrics" (.Values.collector.export.metricsEndpoint | default .Values.collector.export.endpoint) "logs" (.Values.collector.export.logsEndpoint | default .Values.collector.export.endpoint) }}
  otlp_http/{{ $signal }}:
    endpoint: {{ $endpoint }}
    {{- with $auth }}
    {{ . }}
    {{- end }}
    # Again and again, from disk: an outage loses nothing while the volume has room.
    retry_on_failure: { max_elapsed_time: 0 }
    sending_queue: { storage: file_storage, queue_size: 20000 }
  {{- end }}

service:
  extensions: [health_check, file_storage{{ if eq .Values.collector.export.auth "oauth2" }}, oauth2client{{ end }}]
  telemetry:
    metrics:
      level: normal
      readers: [{ pull: { exporter: { prometheus: { host: 0.0.0.0, port: 8888 } } } }]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [memory_limiter, redaction, tail_sampling, batch]
      exporters: [otlp_http/traces]
    traces/measured:
      receivers: [otlp]
      processors: [memory_limiter, redaction]
      exporters: [span_metrics]
    metrics:
      receivers: [otlp, span_metrics]
      processors: [memory_limiter, redaction, batch]
      exporters: [otlp_http/metrics]
    logs:
      receivers: [otlp]
      processors: [memory_limiter, redaction, batch]
      exporters: [otlp_http/logs]
