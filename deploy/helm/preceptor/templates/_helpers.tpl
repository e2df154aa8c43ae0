{{- define "preceptor.name" -}}
{{- if contains "preceptor" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-preceptor" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "preceptor.selector" -}}
app.kubernetes.io/name: preceptor
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "preceptor.labels" -}}
{{ include "preceptor.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Values that cannot work are refused before anything is made. */}}
{{- define "preceptor.check" -}}
{{- if eq .Values.store "sqlite" }}
{{- if or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled }}
{{- fail "store: sqlite is a file of one Pod: set replicas: 1 and autoscaling.enabled: false, or store: postgres" }}
{{- end }}
{{- else if not .Values.secretName }}
{{- fail "store: postgres needs secretName: a Secret with the entry `store`, the address of the database" }}
{{- end }}
{{- if regexMatch `(?m)^\s*\[server\]` .Values.configuration }}
{{- fail "configuration holds [server]: put its lines into server.more, the chart writes the rest of that section" }}
{{- end }}
{{- end }}
