{{/* Labels of everything; takes (dict "root" $ "component" NAME). */}}
{{- define "order-system.labels" -}}
app.kubernetes.io/part-of: order-system
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{ include "order-system.selector" . }}
{{- end }}

{{/* What tells a component's pods from all others. */}}
{{- define "order-system.selector" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* An object's name; takes (dict "root" $ "component" NAME). */}}
{{- define "order-system.name" -}}
{{ printf "%s-%s" .root.Release.Name .component | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* An image of ours; takes (dict "root" $ "image" NAME). */}}
{{- define "order-system.image" -}}
{{- $tag := .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{- with .root.Values.image.registry }}{{ . }}/{{ end }}{{ .image }}:{{ $tag }}
{{- end }}

{{/* Pods of ours run as nobody in particular, who may change nothing. */}}
{{- define "order-system.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "order-system.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Who the pod is, as resource attributes; docs/instrumentation.md, "the resource". */}}
{{- define "order-system.downward" -}}
- { name: K8S_NAMESPACE_NAME, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
- { name: K8S_POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
- { name: K8S_POD_UID, valueFrom: { fieldRef: { fieldPath: metadata.uid } } }
- { name: K8S_NODE_NAME, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
{{- end }}

{{/* The database and the keys of a service; takes (dict "root" $ "component" NAME). */}}
{{- define "order-system.secretEnv" -}}
- name: DATABASE_URL
  valueFrom: { secretKeyRef: { name: {{ .root.Values.secrets.databaseUrls }}, key: {{ .component }} } }
- { name: SERVICE_TOKEN_SECRET_FILE, value: /etc/order-system/service-token-secret }
{{- if eq .component "user" }}
- { name: JWT_SECRET_FILE, value: /etc/order-system/jwt-secret }
{{- end }}
{{- end }}

{{- define "order-system.secretMounts" -}}
- { name: tokens, mountPath: /etc/order-system, readOnly: true }
{{- if .root.Values.secrets.databaseCa }}
- { name: database-ca, mountPath: /etc/postgresql-ca, readOnly: true }
{{- end }}
{{- end }}

{{- define "order-system.secretVolumes" -}}
- name: tokens
  secret:
    secretName: {{ .root.Values.secrets.tokens }}
    defaultMode: 0440
    items:
      - { key: service-token-secret, path: service-token-secret }
      {{- if eq .component "user" }}
      - { key: jwt-secret, path: jwt-secret }
      {{- end }}
{{- with .root.Values.secrets.databaseCa }}
- name: database-ca
  secret: { secretName: {{ . }} }
{{- end }}
{{- end }}
