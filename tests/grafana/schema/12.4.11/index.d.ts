// Of the package's index only what dashboards and the panels here need.
export * from './veneer/common.types';
export * from './veneer/dashboard.types';
export { FieldColorModeId, ThresholdsMode, MappingType, SpecialValueMatch, VariableRefresh, VariableSort, DashboardCursorSync } from './raw/dashboard/x/types.gen';
