{{- define "pgairlock.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "pgairlock.selector" -}}
app.kubernetes.io/name: pgairlock
app.kubernetes.io/component: gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pgairlock.labels" -}}
{{ include "pgairlock.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "pgairlock.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* A list, or what is to be in it: "required" takes an empty list for one that is given. */}}
{{- define "pgairlock.needed" -}}
{{- if not (index . 1) }}{{ fail (index . 0) }}{{ end }}{{ index . 1 | toJson }}
{{- end }}

{{- define "pgairlock.listener" -}}
[listener.tls]
mode = {{ .Values.tls.mode | toJson }}
cert_file = "/etc/pgairlock-tls/tls.crt"
key_file = "/etc/pgairlock-tls/tls.key"
{{- end }}

{{- define "pgairlock.toml" -}}
{{- if .Values.config }}{{ .Values.config }}{{ else -}}
[log]
format = "json"

[runtime]
threads = {{ .Values.threads }}
drain_timeout = "{{ .Values.drainSeconds }}s"

[[listener]]
name = {{ .Values.upstream.name | toJson }}
listen = ["0.0.0.0:6432"]
allow = {{ .Values.allow | toJson }}

{{ include "pgairlock.listener" . }}
{{- if .Values.proxyProtocol.enabled }}

[[listener]]
name = {{ printf "%s-proxied" .Values.upstream.name | toJson }}
listen = ["0.0.0.0:6442"]
proxy_protocol = "require"
trusted_proxies = {{ include "pgairlock.needed" (list "proxyProtocol.trustedProxies: whose headers are believed" .Values.proxyProtocol.trustedProxies) }}
allow = {{ include "pgairlock.needed" (list "proxyProtocol.allow: whose clients are let in" .Values.proxyProtocol.allow) }}

{{ include "pgairlock.listener" . }}
{{- end }}

[upstream.{{ .Values.upstream.name }}]
hosts = {{ include "pgairlock.needed" (list "upstream.hosts: the server, HOST:PORT" .Values.upstream.hosts) }}
sslmode = {{ .Values.upstream.sslmode | toJson }}
sslrootcert = ["/etc/pgairlock-ca/{{ .Values.caBundle.key }}"]
tcp_user_timeout = "30s"

[audit]
file = "-"
inventory = {{ .Values.inventory.url | toJson }}

[admin]
http = "0.0.0.0:6433"
http_token_file = "/etc/pgairlock-http/{{ .Values.http.tokenSecret.key }}"
{{- with .Values.extraConfig }}

{{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
The sidecar, for other charts that depend on this one: {{ include "pgairlock.sidecar" (dict "image" "registry.example.com/pgairlock:0.1.0") }} as the first of
initContainers, and {{ include "pgairlock.sidecarVolumes" . }} among volumes. ConfigMaps "pgairlock" (pgairlock.toml) and "pgairlock-ca" are the other chart's.
It is the one of deploy/kubernetes/sidecar; tests/deploy compares them.
*/}}
{{- define "pgairlock.sidecar" -}}
- name: pgairlock
  image: {{ .image }}
  restartPolicy: Always
  args: [run, --config, /etc/pgairlock/pgairlock.toml]
  env:
    - name: PGPASSWORD
      valueFrom: {secretKeyRef: {name: pgairlock-inventory, key: password, optional: true}}
  startupProbe:
    exec: {command: [/usr/bin/pgairlock, health, startupz, --config, /etc/pgairlock/pgairlock.toml]}
    periodSeconds: 1
    timeoutSeconds: 5
    failureThreshold: 120
  livenessProbe:
    exec: {command: [/usr/bin/pgairlock, health, livez, --config, /etc/pgairlock/pgairlock.toml]}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  readinessProbe:
    exec: {command: [/usr/bin/pgairlock, health, readyz, --config, /etc/pgairlock/pgairlock.toml]}
    periodSeconds: 10
    timeoutSeconds: 5
  resources:
    requests: {cpu: 20m, memory: 48Mi}
    limits: {memory: 256Mi}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    seccompProfile: {type: RuntimeDefault}
  volumeMounts:
    - {name: pgairlock-config, mountPath: /etc/pgairlock, readOnly: true}
    - {name: pgairlock-ca, mountPath: /etc/pgairlock-ca, readOnly: true}
    - {name: pgairlock-state, mountPath: /var/lib/pgairlock}
{{- end }}

{{- define "pgairlock.sidecarVolumes" -}}
- {name: pgairlock-config, configMap: {name: pgairlock}}
- {name: pgairlock-ca, configMap: {name: pgairlock-ca}}
- {name: pgairlock-state, emptyDir: {sizeLimit: 64Mi}}
{{- end }}
